"""One client of the simulated exchange: clean frames in, bytes on its socket out, within bounded memory."""

from collections.abc import Sequence

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from tapewatch import telemetry
from tapewatch.simulate.faults import Frame, Injector
from tapewatch.simulate.frames import HEARTBEAT, MATCHES
from tapewatch.simulate.subscriptions import Subscriptions


class Client:
    """A connection with what it asked for.

    Parameters
    ----------
    connection
        An open WebSocket.
    subscriptions
        What its messages are answered with.
    injector
        Spoils what is sent to it; None: nothing goes wrong.
    deadline_ns
        By when it must have subscribed.
    backlog_max
        Bytes that may wait for it; a slower consumer is dropped.
    """

    def __init__(
        self,
        connection: ServerConnection,
        subscriptions: Subscriptions,
        injector: Injector | None,
        *,
        deadline_ns: int,
        backlog_max: int,
    ) -> None:
        self.connection = connection
        self.subscriptions = subscriptions
        self.deadline_ns = deadline_ns
        self._injector = injector
        self._backlog_max = backlog_max

    @property
    def matches(self) -> Sequence[str]:
        """Products whose matches it gets."""
        return self.subscriptions.channels[MATCHES]

    @property
    def heartbeats(self) -> Sequence[str]:
        """Products whose heartbeats it gets."""
        return self.subscriptions.channels[HEARTBEAT]

    def send(self, frames: list[bytes], now_ns: int, *, matches: bool = False) -> None:
        """Put frames on the socket, all with one system call; no frames: what was held back, if it is due.

        Parameters
        ----------
        frames
            Texts, encoded.
        now_ns
            Present time.
        matches
            Whether they are matches, which faults are drawn for.
        """
        if self._injector is None:
            self._write([Frame(frame) for frame in frames])
            return
        self._write(self._injector.pass_on(frames, now_ns, matches=matches))
        if self._injector.hung_up:
            self.connection.transport.close()

    def _write(self, frames: list[Frame]) -> None:
        protocol = self.connection.protocol
        if protocol.state is not State.OPEN or not frames:
            return
        # `connection.send` would cost a task switch and a system call per frame, and would wait for a slow reader.
        for payload, text in frames:
            protocol.send_text(payload) if text else protocol.send_binary(payload)
        transport = self.connection.transport
        transport.write(b"".join(protocol.data_to_send()))
        if (waiting := transport.get_write_buffer_size()) > self._backlog_max:
            # The venue calls it ErrSlowConsume. A farewell would only join the queue.
            transport.abort()
            telemetry.log(telemetry.CONSUMER_DROPPED, waiting_bytes=waiting, limit=self._backlog_max)
