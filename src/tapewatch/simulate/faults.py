"""Everything that can go wrong on a feed, on request: clean frames in, spoiled ones out. Seeded, off by default.

Rates are probabilities per `match` frame. One injector serves one connection; the time is an argument.
"""

import heapq
import json
from typing import Annotated, Any, NamedTuple

import numpy as np
from msgspec import Meta, Struct
from msgspec.structs import asdict

from tapewatch.model import NS

Rate = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(gt=0)]

OVERSIZED_BYTES = 5_000_000

_ABSURD_PRICES = ("0", "-84140.00", "NaN", "Infinity", "1e400", "10000000.01", "0.00000000001", "", "eighty")
_REQUIRED = ("price", "size", "time", "trade_id", "side", "product_id")


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """How often what goes wrong.

    Attributes
    ----------
    drop, straggle
        The frame is lost; the frame is lost at first and comes `straggle_s` later.
    duplicate, reorder
        The frame comes twice; it comes behind the next match.
    delay
        The connection stalls: this frame and all later ones come `delay_s` later, in order.
    corrupt, mistype, missing, absurd
        The frame is cut off in the middle; has a field of the wrong type; lacks one; has an impossible price.
    binary, oversized, unknown
        After the frame comes one more: a binary one; one of 5 MB; one of a type that nobody documented.
    disconnect
        The venue hangs up behind the frame, without a closing handshake.
    silence
        After the frame the connection says nothing for `silence_s`; what it would have said is lost.
    """

    drop: Rate = 0.0
    straggle: Rate = 0.0
    duplicate: Rate = 0.0
    reorder: Rate = 0.0
    delay: Rate = 0.0
    corrupt: Rate = 0.0
    mistype: Rate = 0.0
    missing: Rate = 0.0
    absurd: Rate = 0.0
    binary: Rate = 0.0
    oversized: Rate = 0.0
    unknown: Rate = 0.0
    disconnect: Rate = 0.0
    silence: Rate = 0.0
    straggle_s: Seconds = 3.0
    delay_s: Seconds = 2.0
    silence_s: Seconds = 8.0

    @property
    def rates(self) -> dict[str, float]:
        """Name → rate, without the durations."""
        return {name: value for name, value in asdict(self).items() if not name.endswith("_s")}

    @property
    def any(self) -> bool:
        """Whether anything goes wrong at all."""
        return any(self.rates.values())


class Frame(NamedTuple):
    """One WebSocket message: its bytes, and whether it is sent as text."""

    payload: bytes
    text: bool = True


class Injector:
    """Spoils the frames of one connection.

    Parameters
    ----------
    faults
        What goes wrong how often.
    seed, connection
        Determine every decision; `connection` counts the connections of an exchange.

    Attributes
    ----------
    hung_up
        Whether the connection must be cut after what `pass_on` returned last.
    """

    def __init__(self, faults: Faults, seed: int, connection: int) -> None:
        self._faults = faults
        self._rng = np.random.default_rng([seed, connection])
        self._names = [name for name, rate in faults.rates.items() if rate > 0]
        self._rates = np.array([faults.rates[name] for name in self._names])
        self._stragglers: list[tuple[int, int, bytes]] = []  # due, number, frame
        self._stalled: list[Frame] = []
        self._stalled_until = 0
        self._silent_until = 0
        self._behind: bytes | None = None  # waits until the next match has passed
        self._count = 0
        self.hung_up = False

    def pass_on(self, frames: list[bytes], now_ns: int, *, matches: bool) -> list[Frame]:
        """Spoil frames that are due now.

        Parameters
        ----------
        frames
            Clean ones, in order; none to ask for what was held back.
        now_ns
            Present time; never falls.
        matches
            Whether they are matches: nothing else sets a fault off, but a silent or stalled connection holds all.
        """
        out: list[Frame] = []
        while self._stragglers and self._stragglers[0][0] <= now_ns and now_ns >= self._silent_until:
            out.append(Frame(heapq.heappop(self._stragglers)[2]))
        hits = self._hits(len(frames)) if matches else [frozenset[str]()] * len(frames)
        for frame, hit in zip(frames, hits, strict=True):
            out += self._spoil(frame, hit, now_ns, match=matches)
            if self.hung_up:
                break
        return self._hold(out, now_ns)

    def _hits(self, frames: int) -> list[frozenset[str]]:
        draws = self._rng.random((frames, len(self._names))) < self._rates
        return [frozenset(name for name, hit in zip(self._names, draw, strict=True) if hit) for draw in draws]

    def _spoil(self, frame: bytes, hits: frozenset[str], now_ns: int, *, match: bool) -> list[Frame]:
        if now_ns < self._silent_until:
            return []
        waiting, self._behind = (self._behind, None) if match else (None, self._behind)
        self._count += match
        out = []
        if "straggle" in hits:
            heapq.heappush(self._stragglers, (now_ns + int(self._faults.straggle_s * NS), self._count, frame))
        elif "reorder" in hits and waiting is None:
            self._behind = frame
        elif "drop" not in hits:
            out.append(Frame(self._damage(frame, hits)))
            if "duplicate" in hits:
                out.append(Frame(frame))
        if waiting is not None:
            out.append(Frame(waiting))
        if hits:
            out += self._additional(hits)
            self._stalled_until = now_ns + int(self._faults.delay_s * NS) if "delay" in hits else self._stalled_until
            self._silent_until = now_ns + int(self._faults.silence_s * NS) if "silence" in hits else 0
            self.hung_up = "disconnect" in hits
        return out

    def _damage(self, frame: bytes, hits: frozenset[str]) -> bytes:
        if "corrupt" in hits:
            return frame[: len(frame) // 2]
        if not hits & {"mistype", "missing", "absurd"}:
            return frame
        fields: dict[str, Any] = json.loads(frame)
        if "mistype" in hits:
            fields["price" if self._count % 2 else "trade_id"] = [fields["price"]]
        if "missing" in hits:
            del fields[_REQUIRED[self._count % len(_REQUIRED)]]
        if "absurd" in hits:
            fields["price"] = _ABSURD_PRICES[self._count % len(_ABSURD_PRICES)]
        return json.dumps(fields, separators=(",", ":")).encode()

    def _additional(self, hits: frozenset[str]) -> list[Frame]:
        out = []
        if "binary" in hits:
            out.append(Frame(b"\x00\xff\xfe" + self._count.to_bytes(8, "big"), text=False))
        if "oversized" in hits:
            out.append(Frame(b'{"type":"match","padding":"' + b"x" * OVERSIZED_BYTES + b'"}'))
        if "unknown" in hits:
            out.append(Frame(b'{"type":"weather","product_id":"BTC-USD","outlook":"changeable"}'))
        return out

    def _hold(self, out: list[Frame], now_ns: int) -> list[Frame]:
        self._stalled += out
        if now_ns < self._stalled_until and not self.hung_up:
            return []
        passed, self._stalled = self._stalled, []
        return passed
