"""Whether tapewatch itself is well: what was seen of the chain in; what must be said of it out.

Pure: no I/O and no clock. Durations come from a monotonic clock (`ticks`), moments from the wall's. What was said is
kept in a page that goes into the transaction of the messages that say it, so that a killed process says nothing twice.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from tapewatch.dispatch.phrases import count_words
from tapewatch.errors import SnapshotError
from tapewatch.figures import day_clock, duration
from tapewatch.model import NS

VERSION: Final = 1

FRESH_NS: Final = 30 * NS
"""A commit that old still says that trades get through: through Spark one may take as long."""

WELL_NS: Final = 10 * NS
"""For so long trades must get through until it is said that all is well again."""

CHANNEL_NS: Final = 600 * NS
"""A channel that has accepted nothing for so long is told to the others."""

ENDED: Final = ("stopped", "ended")
"""States of a lane after an orderly end."""


class Lane(NamedTuple):
    """One lane as the last commit left it: its state in the table ``feed``, and why it is not live."""

    symbol: str
    state: str
    reason: str


class Failing(NamedTuple):
    """A channel that accepts nothing: since when, wall clock, ns; and what it says."""

    since: int
    why: str


class Sight(Struct, frozen=True):
    """What was seen of the chain at one look.

    Attributes
    ----------
    ticks
        When, ns by our monotonic clock.
    now
        When, ns by our wall clock.
    revision
        Number of the database's last commit; None: there was none yet.
    kafka
        The rows come through Kafka.
    replay
        The lanes do not live when we do: a tape, of which nothing happens now.
    channels
        All that there are; None: it works.
    """

    ticks: int
    now: int
    revision: int | None
    lanes: Sequence[Lane] = ()
    kafka: bool = False
    replay: bool = False
    channels: Mapping[str, Failing | None] = {}


class Notice(NamedTuple):
    """What is to be said, to all channels but some.

    Attributes
    ----------
    well
        It says that all is well again.
    """

    text: str
    well: bool = False
    but: frozenset[str] = frozenset()


class Kept(Struct):
    """What was said and is not over.

    Attributes
    ----------
    ill_since
        Since when nothing was watched, ns by our wall clock; None: all is well, or nothing was said yet.
    failing
        Channel → since when it accepts nothing.
    """

    version: int = VERSION
    ill_since: int | None = None
    failing: dict[str, int] = msgspec.field(default_factory=dict)


class Watch:
    """Judge whether trades get through, from the venue to the channels.

    They do where a new commit says that a lane is live. A market may be quiet: what the venue's heartbeats confirm
    keeps a lane live without a trade.

    Parameters
    ----------
    ill_after_ns
        For so long nothing must have got through until that is said.
    """

    def __init__(self, ill_after_ns: int) -> None:
        self._ill_after_ns = ill_after_ns
        self._kept = Kept()
        self._sight: Sight | None = None
        self._moved = self._rested = 0
        self._through: int | None = None
        self._well_from: tuple[int, int] | None = None
        self._away: tuple[int, int] | None = None
        self._away_told = False
        self._over = False

    def begin(self, page: bytes, ticks: int) -> None:
        """Go on with what `page` gave when it was stored last; b"": with nothing.

        Raises
        ------
        SnapshotError
            It is no page of this version.
        """
        try:
            self._kept = msgspec.json.decode(page, type=Kept) if page else Kept()
        except msgspec.DecodeError as error:
            raise SnapshotError(f"what alerting remembers of itself cannot be read: {error}") from None
        if self._kept.version != VERSION:
            raise SnapshotError(f"what alerting remembers of itself is of version {self._kept.version}")
        self._sight = self._through = self._well_from = None
        self._moved = self._rested = ticks
        self._over = False

    def page(self) -> bytes:
        """Write down what must not be forgotten."""
        return msgspec.json.encode(self._kept)

    def look(self, sight: Sight) -> list[Notice]:
        """Take a look into account, and tell what is to be said: stored with the page before there is another look."""
        if self._over or not self._away_told:
            self._away, self._away_told, self._over = None, False, False
        elif self._away is not None and self._kept.ill_since is None:
            self._kept.ill_since = self._away[1]
        before, self._sight = self._sight, sight
        if sight.replay:
            self._rested = sight.ticks
            return []
        if before is not None and before.revision != sight.revision:
            self._moved = sight.ticks
            if any(lane.state == "live" for lane in sight.lanes):
                self._through = sight.ticks
        if _ended(sight):
            self._rested = sight.ticks
        return [*self._of_the_feed(sight), *self._of_channels(sight)]

    def away(self, ticks: int, now: int, why: str) -> Notice | None:
        """Note that the database cannot be used; tell what is to be said, once, without it.

        Parameters
        ----------
        ticks, now
            Ns by our monotonic clock and by the wall's.
        """
        self._away = self._away or (ticks, now)
        lasted = ticks - self._away[0]
        if self._away_told or lasted < self._ill_after_ns or self._kept.ill_since is not None:
            return None
        self._away_told = True
        return Notice(f"tapewatch is not watching: its database cannot be used for {duration(lasted / NS)}: {why}")

    def trouble(self, ticks: int) -> str | None:
        """Tell why trades do not get through now; None: they do."""
        sight = self._sight
        if sight is None:
            return "the database was not looked at yet"
        if sight.replay:
            return "a tape is replayed: nothing of it happens now"
        if _ended(sight):
            return "capture was stopped"
        if not self._fresh(ticks):
            return self._cause(sight, self._lasted(ticks))
        blind = next((lane for lane in sight.lanes if lane.state == "blind"), None)
        if blind is not None:
            return f"{blind.symbol}: {blind.reason}"
        if sight.channels and None not in sight.channels.values():
            return "no channel accepts anything"
        return None

    def _fresh(self, ticks: int) -> bool:
        return self._through is not None and ticks - self._through <= FRESH_NS

    def _lasted(self, ticks: int) -> int:
        # For how long nothing has got through, as far as we can tell; what was stopped in order does not count.
        return ticks - max(self._rested, self._through or self._rested)

    def _of_the_feed(self, sight: Sight) -> list[Notice]:
        lasted = self._lasted(sight.ticks)
        if not self._fresh(sight.ticks):
            self._well_from = None
        elif self._well_from is None:
            self._well_from = sight.ticks, sight.now
        ill_since = self._kept.ill_since
        if ill_since is None:
            if lasted < self._ill_after_ns:
                return []
            self._kept.ill_since = sight.now - lasted
            return [Notice(f"tapewatch is not watching: {self._cause(sight, lasted)}")]
        if self._through is None or self._well_from is None or self._through - self._well_from[0] < WELL_NS:
            return []
        until = self._well_from[1]
        self._kept.ill_since, self._over = None, True
        span = f"from {day_clock(ill_since, sight.now)[:-3]} to {day_clock(until, sight.now)[:-3]} UTC"
        text = f"tapewatch is well again: it was blind {span}; what happened meanwhile is not known"
        return [Notice(text, well=True)]

    def _of_channels(self, sight: Sight) -> list[Notice]:
        failing = {name: each for name, each in sight.channels.items() if each is not None}
        works, notices = len(failing) < len(sight.channels), []
        for name, each in failing.items():
            if name not in self._kept.failing and works and sight.now - each.since >= CHANNEL_NS:
                self._kept.failing[name] = each.since
                since = day_clock(each.since, sight.now)[:-3]
                text = f"The channel {name} accepts nothing since {since} UTC: {each.why}; its messages wait"
                notices.append(Notice(text, but=frozenset(failing)))
        for name in [name for name in self._kept.failing if name not in failing]:
            lasted = sight.now - self._kept.failing.pop(name)
            text = f"The channel {name} accepts messages again, after {duration(lasted / NS)}; what waited is sent now"
            if name in sight.channels:
                notices.append(Notice(text, well=True, but=frozenset(failing)))
        return notices

    def _cause(self, sight: Sight, lasted: int) -> str:
        for_long = duration(lasted / NS)
        if sight.revision is None:
            return f"nothing was ever stored here, and for {for_long} nobody has begun to"
        if sight.ticks - self._moved > FRESH_NS // 2:
            what = "detect, Kafka or produce" if sight.kafka else "the program that captures"
            return f"nothing was stored for {for_long}, {what} is not running"
        if not sight.lanes:
            return f"no trade has come for {for_long}"
        first = next((lane for lane in sight.lanes if lane.state != "live"), sight.lanes[0])
        lanes = len(sight.lanes)
        on = f"on any of {count_words(lanes, 'symbol')}" if lanes > 1 else f"on {first.symbol}"
        return f"no trades get through {on} for {for_long}{f': {first.reason}' if first.reason else ''}"


def _ended(sight: Sight) -> bool:
    return bool(sight.lanes) and all(lane.state in ENDED for lane in sight.lanes)
