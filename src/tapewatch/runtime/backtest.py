"""The engine over a recorded tape: rows in, every anomaly of the tape and a summary of it out."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from msgspec import Struct

from tapewatch.detect.core import Detector, Update, replay
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import ConfigError, TapewatchError
from tapewatch.model import Anomaly, Kind, Lane, Rows


class LaneCount(Struct):
    """What one lane's tape held.

    Attributes
    ----------
    trades
        Trades that were new, late ones included.
    duplicates
        Trades told again, which changed nothing.
    missing
        Ids that gaps skipped.
    first_ts, last_ts
        Venue's time of the first and the latest trade, ns; None without trades.
    armed
        Names of the rules that were armed.
    """

    trades: int = 0
    duplicates: int = 0
    missing: int = 0
    first_ts: int | None = None
    last_ts: int | None = None
    armed: tuple[str, ...] = ()


class Report(Struct, frozen=True):
    """What a backtest found.

    Attributes
    ----------
    anomalies
        In the order of files (`Anomaly.sort_key`); what was open at the end of the tape has no `ended_ts`.
    lanes
        By lane, in order of venue and symbol.
    """

    anomalies: list[Anomaly]
    lanes: dict[Lane, LaneCount]

    def by_lane(self) -> Counter[tuple[Lane, str]]:
        """Count anomalies by lane and rule."""
        return Counter((Lane(each.venue, each.symbol), each.rule) for each in self.anomalies)

    def by_day(self) -> Counter[tuple[str, str]]:
        """Count anomalies by the UTC day on which they opened, as ISO 8601, and rule."""
        return Counter((each.opened_at[:10], each.rule) for each in self.anomalies)

    def greatest(self, most: int) -> list[Anomaly]:
        """List the market anomalies that are the largest, how many times their limit, in order of time."""
        market = [each for each in self.anomalies if each.kind == "market"]
        ranked = sorted(market, key=lambda each: each.size or 0.0, reverse=True)
        return sorted(ranked[:most], key=Anomaly.sort_key)


def backtest(tape: Iterable[Rows], rules: RuleBook) -> Report:
    """Run all armed rules over a tape.

    Raises
    ------
    TapeError
        The tape cannot be read.
    """
    detector = Detector(rules)
    lanes: dict[Lane, LaneCount] = {}
    anomalies: list[Anomaly] = []
    for rows, update in replay(tape, detector):
        _count(rows, update, detector, lanes)
        anomalies += update.ended()
    anomalies += detector.open_anomalies()
    anomalies.sort(key=Anomaly.sort_key)
    return Report(anomalies, dict(sorted(lanes.items())))


def write(anomalies: Iterable[Anomaly], file: BinaryIO) -> None:
    """Write anomalies as lines of JSON."""
    encoder = msgspec.json.Encoder()
    file.writelines(encoder.encode(anomaly) + b"\n" for anomaly in anomalies)


def check_out(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse a place to write to before the work is done in vain.

    Raises
    ------
    ConfigError
        The folder is not there or not writable, or the file is one that is read.
    """
    if path.is_dir():
        raise ConfigError(f"--out {path}: expected a file, found a folder")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: expected an existing folder, found none at {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"--out {path}: cannot be written: permission denied")
    if path.exists() and any(path.samefile(each) for each in inputs):
        raise ConfigError(f"--out {path}: expected another file than the tape that is read")


def save(anomalies: Iterable[Anomaly], path: Path) -> None:
    """Write anomalies into a file that is there as a whole or not at all; a device or pipe is written to directly.

    Raises
    ------
    TapewatchError
        The disk refuses.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                write(anomalies, file)
            return
        target = path.resolve()
        unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with unfinished.open("wb") as file:
                write(anomalies, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise TapewatchError(f"{path}: cannot be written: {error.strerror}") from None


def _count(rows: Rows, update: Update, detector: Detector, lanes: dict[Lane, LaneCount]) -> None:
    data = rows.data
    for number in np.unique(data["lane"]).tolist():
        lane = rows.lanes[number]
        if lane not in lanes:
            lanes[lane] = LaneCount(armed=detector.armed(lane))
        count = lanes[lane]
        mine = data["lane"] == number
        kind, new = data["kind"][mine], update.new[mine]
        traded = (kind == Kind.TRADE) | (kind == Kind.LATE)
        gaps = data[mine][new & (kind == Kind.GAP)]
        count.trades += int(np.count_nonzero(traded & new))
        count.duplicates += int(np.count_nonzero(traded & ~new))
        count.missing += int((gaps["aux"] - gaps["trade_id"] + 1).sum())
        ts = data["ts"][mine][traded]
        if len(ts):
            count.first_ts = int(ts[0]) if count.first_ts is None else count.first_ts
            count.last_ts = max(int(ts.max()), count.last_ts or 0)
