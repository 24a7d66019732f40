"""What the feed of each lane has brought so far: detected rows in, counters and latest values out.

Counters stand outside the detector's state, because rows told again must not change that; they go on
from what the database holds.
"""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from tapewatch import telemetry
from tapewatch.detect.core import Detector
from tapewatch.model import BLIND_NS, CAUSES, Cause, Flag, Kind, Lane, Rows, by_lane
from tapewatch.runtime.source import LaneStatus
from tapewatch.store.records import FeedRow, FeedState


class Tally:
    """Counters of all lanes.

    Parameters
    ----------
    stored
        What the database holds, from earlier runs.
    """

    def __init__(self, stored: Iterable[FeedRow] = ()) -> None:
        self._lanes = {row.lane: row for row in stored}
        self._sessions: dict[Lane, LaneStatus] = {}  # what the source's own counters, which start at 0, last said

    def add(self, rows: Rows, new: NDArray[np.bool_]) -> None:
        """Count detected rows.

        Parameters
        ----------
        new
            Shape (n,): what `Detector.update` said to be new.
        """
        for number, index in by_lane(rows.data["lane"], 0, len(rows.lanes)) if len(rows.data) else ():
            self._add_lane(rows.lanes[number], rows.data[index], new[index])

    def feed(self, statuses: Mapping[Lane, LaneStatus], detector: Detector, now_ts: int) -> list[FeedRow]:
        """Make one row per lane of what was counted and of how the source says that it stands.

        Where the source knows of nothing but rows, as a tape and a topic do, the last ``CLOCK`` says what lies between.
        """
        for lane, status in statuses.items():
            row, last = self._row(lane), self._sessions.get(lane, LaneStatus("waiting"))
            self._sessions[lane] = status
            state, reason = _standing(row, now_ts) if status.state == "live" else (status.state, status.reason)
            self._lanes[lane] = msgspec.structs.replace(
                row,
                state=state,
                reason=reason or status.reason,
                blind_ts=status.blind_ts or row.blind_ts,
                now_ts=now_ts,
                last_frame_ts=max(status.last_frame_ts or 0, row.last_frame_ts or 0) or None,
                connected_ts=status.connected_ts,
                next_try_ts=status.next_try_ts,
                attempts=status.attempts,
                duplicates=row.duplicates + status.duplicates - last.duplicates,
                quarantined=row.quarantined + status.quarantined - last.quarantined,
                reconnects=row.reconnects + status.reconnects - last.reconnects,
                armed=detector.armed(lane),
                warming=detector.warming(lane),
            )
        return list(self._lanes.values())

    def _row(self, lane: Lane) -> FeedRow:
        return self._lanes.get(lane) or FeedRow(lane.venue, lane.symbol, "waiting", "no row yet", 0)

    def _add_lane(self, lane: Lane, data: NDArray[np.void], new: NDArray[np.bool_]) -> None:
        row = self._row(lane)
        kind, given_up = data["kind"], (data["flags"] & Flag.GIVEN_UP) != 0
        trades, told = (kind == Kind.TRADE) & new, (kind == Kind.TRADE) | (kind == Kind.LATE)
        filled = (kind == Kind.FILLED) & new
        counted, again = int(np.count_nonzero(told & new)), int(np.count_nonzero(told & ~new))
        last = data[trades][-1] if trades.any() else None
        # A gap is opened and given up by our own clock: only trades and what a CLOCK has heard are frames.
        never = np.isin(data["trade_id"], [cause for cause in Cause if cause.no_data])
        heard = np.where((kind == Kind.CLOCK) & ~never, data["aux"], np.where(told, data["recv_ts"], 0))
        clocks = data[(kind == Kind.CLOCK) & new]
        blind_ts, cause = clocks[-1][["sequence", "trade_id"]].item() if len(clocks) else (row.blind_ts, row.cause)
        self._lanes[lane] = msgspec.structs.replace(
            row,
            last_frame_ts=max(int(heard.max()), row.last_frame_ts or 0) or None,
            last_trade_ts=row.last_trade_ts if last is None else int(last["ts"]),
            last_price=row.last_price if last is None else int(last["price"]),
            blind_ts=blind_ts or None,
            cause=cause,
            trades=row.trades + counted,
            duplicates=row.duplicates + again,
            gaps_opened=row.gaps_opened + int(np.count_nonzero((kind == Kind.GAP) & new)),
            gaps_filled=row.gaps_filled + int(np.count_nonzero(filled & ~given_up)),
            gaps_given_up=row.gaps_given_up + int(np.count_nonzero(filled & given_up)),
        )
        telemetry.GAPS_OPENED.labels(*lane).inc(int(np.count_nonzero((kind == Kind.GAP) & new)))
        telemetry.GAPS_CLOSED.labels(*lane, "filled").inc(int(np.count_nonzero(filled & ~given_up)))
        telemetry.GAPS_CLOSED.labels(*lane, "given up").inc(int(np.count_nonzero(filled & given_up)))
        telemetry.TRADES.labels(*lane).inc(counted)
        telemetry.DUPLICATES.labels(*lane).inc(again)


def _standing(row: FeedRow, now_ts: int) -> tuple[FeedState, str]:
    if row.blind_ts and now_ts - row.blind_ts >= BLIND_NS:
        return "blind", CAUSES.get(row.cause) or CAUSES[Cause.SEVERAL]
    if row.cause in (Cause.NEVER_CONNECTED, Cause.NO_FRAME):
        return "no data", f"no data: {CAUSES[row.cause]}"
    return "live", ""
