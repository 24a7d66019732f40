"""The file that knows the WebSocket library: how to connect, and what its errors mean.

In: a `CaptureConfig`. Out: a `Connection`, and words for a person about why there is none.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Protocol

from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    PayloadTooBig,
)
from websockets.http11 import Response

from tapewatch import __version__
from tapewatch.capture.coinbase import VENUE
from tapewatch.capture.config import CaptureConfig, on_this_machine
from tapewatch.capture.text import seconds_to_wait
from tapewatch.errors import ConfigError, FeedError

MESSAGE_MAX = 8 * 2**20
"""Longest message that is received, in bytes; a longer one goes to quarantine by its size alone and ends the
connection, and the next one is made. The library's own limit of 1 MiB is below what the venue is known to send."""

FRAMES_WAITING_MAX = 1024
"""Frames that wait to be read before the socket is left alone for a while."""

PATIENCE_MAX_S = 300.0
"""A venue that asks for more than this is tried again nevertheless: nobody sees the market meanwhile."""

CLOSE_TIMEOUT_S = 0.5
"""How long a connection may take to say goodbye; a stop must not last a second."""


class Connection(Protocol):
    """What is needed of a WebSocket."""

    async def recv(self) -> str | bytes:
        """Return the next message, text as str and binary as bytes; one that is waiting is returned at once."""

    async def send(self, message: str, /) -> None:
        """Send a text frame."""

    async def close(self) -> None:
        """Say goodbye, for at most `CLOSE_TIMEOUT_S`."""


Connect = Callable[[str], Awaitable[Connection]]


def dial(config: CaptureConfig) -> Connect:
    """Make what connects to a real WebSocket.

    It raises ``OSError`` or ``InvalidHandshake`` where the venue cannot be reached, and `ConfigError` where the address
    or the proxy cannot be one.
    """

    async def connect(url: str) -> Connection:
        try:
            return await websocket_connect(
                url,
                compression="deflate",
                max_size=MESSAGE_MAX,
                max_queue=FRAMES_WAITING_MAX,
                open_timeout=config.connect_timeout_s,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=None,  # the venue's heartbeats, once a second, say more than a pong
                proxy=None if on_this_machine(url) else True,
                user_agent_header=f"tapewatch/{__version__}",
            )
        except (InvalidURI, InvalidProxy, UnicodeError) as error:
            raise ConfigError(f"capture.coinbase.ws_url or the proxy in the environment: {error}") from None

    return connect


def garbled(error: ConnectionClosed) -> bytes | None:
    """Return the frame that ended a connection because it was sent as text and is none."""
    return error.__cause__.object if isinstance(error.__cause__, UnicodeDecodeError) else None


def oversized(error: ConnectionClosed) -> str | None:
    """Say, for the quarantine, how long the frame was that ended a connection by its length."""
    cause = error.__cause__
    if not isinstance(cause, PayloadTooBig):
        return None
    size = "more" if cause.size is None else f"{cause.size + (cause.current_size or 0):,} bytes"  # compressed: unknown
    return f"oversized frame: {size}, at most {MESSAGE_MAX:,} bytes are received"


def patience_s(error: Exception) -> float:
    """Tell for how many seconds the venue asks us not to connect again, at most `PATIENCE_MAX_S`; 0: it does not."""
    asked_s = seconds_to_wait(error.response.headers) if isinstance(error, InvalidStatus) else 0.0
    return min(PATIENCE_MAX_S, asked_s)


def words(error: Exception, url: str, venue: str = VENUE) -> str:
    """Say for a person why there is no connection to `url` any more, or why it could not be made."""
    match error:
        case ConnectionClosed():
            return _closed(error, venue)
        case InvalidStatus(response=response):
            return _not_let_in(response, url, venue)
        case InvalidMessage():
            return f"{url} did not answer the handshake as a web server does"
        case TimeoutError():
            return f"no answer from {url}"
        case FeedError():
            return str(error)
        case ConnectionError(errno=int(errno)):
            return f"cannot connect to {url}: {os.strerror(errno)}"
    return f"cannot connect to {url}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}"


def _closed(error: ConnectionClosed, venue: str) -> str:
    if error.rcvd is not None:
        return f"{venue} closed the connection ({f'{error.rcvd.code} {error.rcvd.reason}'.strip()})"
    if error.sent is not None and error.sent.reason:
        return f"{venue} sent what cannot be received ({error.sent.code} {error.sent.reason})"
    return "the connection was lost"


def _not_let_in(answer: Response, url: str, venue: str) -> str:
    status = answer.status_code
    if asked_s := seconds_to_wait(answer.headers):
        return f"{venue} refused the connection (HTTP {status}) and asks for {asked_s:g} s of patience"
    if "html" in answer.headers.get("Content-Type", ""):
        return (
            f"{url} answered with a web page (HTTP {status}) where a feed was expected: check "
            "capture.coinbase.ws_url, and whether a proxy stands between"
        )
    return f"{venue} refused the connection (HTTP {status})"
