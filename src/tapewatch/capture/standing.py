"""How one lane's feed stands, in a word and a reason: connection, ledger and refusals in, `FeedState` out."""

from typing import Literal, NamedTuple

from msgspec import Struct

from tapewatch.capture.completeness import Completeness
from tapewatch.model import BLIND_NS, CAUSES, Cause

PAUSED = "not read for now: too many rows wait to be stored"
"""Why a lane is not live while `Session.pause_reading` holds."""

FeedWord = Literal["no data", "waiting", "live", "blind", "reconnecting", "stopped"]


class FeedState(Struct, frozen=True):
    """How one lane's feed stands.

    Attributes
    ----------
    state
        ``no data`` until the lane's first frame of all, ``waiting`` until that on a new connection, ``live`` from then
        on, ``blind`` where the venue trades and nothing is taken, ``reconnecting`` without a connection, ``stopped`` at
        the end.
    reason
        Why it is not live, for a person; where it is, what gets lost, and "" when nothing does.
    blind_ts
        Since when nothing is taken of what the venue trades, ns; None where all is well, and below `BLIND_NS`.
    last_frame_ts, connected_ts, next_try_ts
        Receive time of the lane's last frame; since when there is a connection; when the next attempt is due. Ns; None
        where there is none.
    attempts
        Attempts to connect since the last frame of any lane; 0 when live.
    duplicates, quarantined
        Trades told again, and frames set aside, since the start.
    reconnects
        Connections made after the first one; the same for all lanes.
    """

    state: FeedWord
    reason: str
    last_frame_ts: int | None
    connected_ts: int | None
    next_try_ts: int | None
    attempts: int
    duplicates: int
    quarantined: int
    reconnects: int
    blind_ts: int | None = None


class Standing(NamedTuple):
    """A lane's state, why it is not live, and since when it is blind (ns; None: it is not)."""

    state: FeedWord
    reason: str
    blind_ns: int | None = None


def standing(
    connection: Literal["waiting", "connected", "reconnecting", "stopped"],
    reason: str,
    ledger: Completeness,
    refusal: str,
    paused_ns: int,
    connected_ns: int,
    now_ns: int,
) -> Standing:
    """Judge a lane.

    Parameters
    ----------
    connection, reason
        How the connection stands, and why there is none.
    refusal
        Why the venue does not serve the lane; "" where it does.
    paused_ns, connected_ns
        Since when nobody reads, 0 where somebody does; since when there is a connection.
    """
    if connection == "stopped":
        return Standing(connection, reason)
    if connection != "connected":
        reason = f"{refusal}; {reason}" if refusal else reason
        if ledger.last_frame_ns:
            return Standing(connection, reason)
        never = Cause.NO_FRAME if ledger.takings.connected else Cause.NEVER_CONNECTED
        return Standing("no data", f"no data: {CAUSES[never]} ({reason})")
    blind_ns, cause = (paused_ns, Cause.UNREAD) if paused_ns else ledger.takings.blind
    if refusal:
        return Standing("blind", refusal, blind_ns or None)
    if blind_ns and cause is not Cause.REFUSED and now_ns - blind_ns >= BLIND_NS:
        return Standing("blind", CAUSES[cause], blind_ns)
    if not ledger.last_frame_ns:
        return Standing("no data", f"no data: {CAUSES[Cause.NO_FRAME]}")
    if paused_ns or ledger.last_frame_ns < connected_ns:
        return Standing("waiting", PAUSED if paused_ns else CAUSES[Cause.NO_FRAME])
    return Standing("live", ledger.takings.losing())
