"""When a message is tried again: what became of an attempt in, the next moment or the end out; no clock, no I/O.

A message has its own times (`next_try`), and its channel has one more (`Health`), so that a receiver that is down is
asked by one message at a time, whatever number of them waits for it.
"""

from typing import Final, Literal, Self
from zlib import crc32

from msgspec import Struct

from tapewatch.model import NS

FIRST_S: Final = 1.0
LONGEST_S: Final = 300.0
"""Waits grow from the first to the longest, twice as long each time."""

JITTER: Final = 0.25
"""Share of a wait that may fall away, so that the messages of one outage do not come back in step."""

PAUSE_LONGEST_S: Final = 60.0
"""Longest pause of a channel that fails: one probe a minute finds out soon that it is back, and is no burden."""

ASKED_LONGEST_S: Final = 3_600.0
"""Longest wait that a receiver may ask for."""

Event = Literal["failing", "working again"]


class Receipt(Struct, frozen=True):
    """What became of one attempt to send a message.

    Attributes
    ----------
    accepted
        The receiver has said that it has it.
    outcome
        For a person, e.g. "HTTP 429: try again in 30 s"; no part of an address is in it.
    retry_after_s
        The receiver asked not to be tried before; None: it did not say.
    permanent
        It refused in a way that trying again does not mend.
    """

    accepted: bool
    outcome: str
    retry_after_s: float | None = None
    permanent: bool = False


class Health(Struct, frozen=True):
    """How a channel stands; times are ns by our clock.

    Attributes
    ----------
    failing_since
        When the first of the failures in a row came; None: it works.
    failures
        In a row.
    pause_until
        Nothing is sent on the channel before; then one message, whichever waits longest, finds out how it stands.

    Examples
    --------
    >>> refused = Receipt(accepted=False, outcome="HTTP 500")
    >>> health, event = Health().after(refused, 10 * NS)
    >>> event, health.pause_until // NS
    ('failing', 11)
    >>> health.after(refused, 11 * NS)[1] is None
    True
    >>> health.after(Receipt(accepted=True, outcome="accepted"), 12 * NS)
    (Health(failing_since=None, failures=0, pause_until=0), 'working again')
    """

    failing_since: int | None = None
    failures: int = 0
    pause_until: int = 0

    @property
    def works(self) -> bool:
        """Whether its last attempt was accepted; one that was never used works."""
        return self.failing_since is None

    def after(self, receipt: Receipt, now: int) -> tuple[Self, Event | None]:
        """Take an attempt's end into account.

        Parameters
        ----------
        now
            When it ended, ns by our clock.

        Returns
        -------
        tuple
            How the channel stands then, and what is to be said of it: each change is said once. After
            "working again" whatever waits may be tried at once, its own next moment notwithstanding.
        """
        if receipt.accepted:
            return type(self)(), None if self.works else "working again"
        pause_s = max(_doubled(self.failures, PAUSE_LONGEST_S), _asked(receipt))
        since = now if self.failing_since is None else self.failing_since
        health = type(self)(since, self.failures + 1, now + round(pause_s * NS))
        return health, "failing" if self.works else None


def next_try(attempts: int, receipt: Receipt, now: int, made_ts: int, key: str, keep_trying_s: float) -> int | None:
    """Tell when a message is to be tried again.

    A permanent refusal is tried again, too, though rarely: what refuses for good today (a token that was revoked, an
    address with a slip) may be mended by a person within the day, and an alert is worth more than one late request.

    Parameters
    ----------
    attempts
        How many there were, 1 or more; the last one ended in `receipt`, not accepted.
    now
        When it ended, ns by our clock.
    made_ts
        When the message was made, ns by our clock.
    key
        Of its letter; the jitter comes from it, so the same message always waits the same.
    keep_trying_s
        How long after it was made it is tried, seconds. The last attempt is at the end of that time.

    Returns
    -------
    int or None
        Ns by our clock; None: it is given up.

    Examples
    --------
    >>> busy = Receipt(accepted=False, outcome="HTTP 429: try again in 30 s", retry_after_s=30)
    >>> next_try(1, busy, 0, 0, "key", 86_400) // NS
    30
    >>> next_try(1, busy, 0, 0, "key", 20) is None
    True
    """
    end = made_ts + round(keep_trying_s * NS)
    asked_s = _asked(receipt)
    if now >= end or now + round(asked_s * NS) > end:
        return None
    wait_s = LONGEST_S if receipt.permanent else _doubled(attempts - 1, LONGEST_S)
    wait_s *= 1 - JITTER * crc32(f"{key} {attempts}".encode()) / 2**32
    return min(now + round(max(wait_s, asked_s) * NS), end)


def _doubled(times: int, longest_s: float) -> float:
    return min(FIRST_S * 2.0 ** min(times, 32), longest_s)


def _asked(receipt: Receipt) -> float:
    return min(receipt.retry_after_s or 0.0, ASKED_LONGEST_S)
