"""New rows become increments of bars: a stateless fold, merged by whoever keeps the bars.

Bars of 1, 10 and 60 s count TRADE and LATE rows in the bucket of their `ts` as delivered. Ids decide
what is open and close, so increments can be merged in any order and any division gives the same bars.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.kernels import kernel
from tapewatch.model import BAR, BAR_WIDTHS, NS, Bars, Kind, Rows

_TRADE, _LATE = np.uint8(Kind.TRADE), np.uint8(Kind.LATE)


def fold(rows: Rows, new: NDArray[np.bool_]) -> Bars:
    """Fold the rows that `new` marks into increments.

    Parameters
    ----------
    rows
        Rows of any kinds and lanes, in their order.
    new
        Shape (n,): what `Detector.update` said to be new.

    Returns
    -------
    Bars
        At most one increment per lane, width and bucket, sorted by width, lane and bucket.
    """
    buffer = np.empty(len(rows.data), BAR)
    last = np.full(len(rows.lanes), -1, np.int64)
    seconds = _merge(buffer[: _seconds(rows.data, new, last, buffer)], BAR_WIDTHS[0])
    by_width = [seconds]
    for width in BAR_WIDTHS[1:]:
        by_width.append(_merge(by_width[-1], width))  # each from the one before, which has fewer bars than rows
    return Bars(rows.lanes, np.frombuffer(b"".join(bars.data for bars in by_width), BAR))


@kernel
def _seconds(data: NDArray[np.void], new: NDArray[np.bool_], last: NDArray[np.int64], out: NDArray[np.void]) -> int:
    # one increment per run of a lane's rows within one second; `last` is each lane's running increment
    count = 0
    for i in range(len(data)):
        kind = data[i]["kind"]
        if not new[i] or kind not in (_TRADE, _LATE):
            continue
        lane, ts, price, trade_id = data[i]["lane"], data[i]["ts"], data[i]["price"], data[i]["trade_id"]
        b = last[lane]
        if b < 0 or ts < out[b]["ts"] or ts >= out[b]["ts"] + NS:
            b = count
            last[lane] = b
            count += 1
            out[b]["ts"] = ts // NS * NS
            out[b]["lane"] = lane
            out[b]["width"] = 1
            out[b]["open_id"] = trade_id
            out[b]["close_id"] = trade_id
            out[b]["open"] = price
            out[b]["close"] = price
            out[b]["high"] = price
            out[b]["low"] = price
            out[b]["volume"] = data[i]["size"]
            out[b]["count"] = 1
            continue
        if trade_id < out[b]["open_id"]:
            out[b]["open_id"] = trade_id
            out[b]["open"] = price
        if trade_id > out[b]["close_id"]:
            out[b]["close_id"] = trade_id
            out[b]["close"] = price
        out[b]["high"] = max(out[b]["high"], price)
        out[b]["low"] = min(out[b]["low"], price)
        out[b]["volume"] += data[i]["size"]
        out[b]["count"] += 1
    return count


@kernel
def _fold_runs(order: NDArray[np.int64], bars: NDArray[np.void], width: int, out: NDArray[np.void]) -> int:
    count = 0
    for i in order:
        ts = bars[i]["ts"] // (width * NS) * (width * NS)
        b = count - 1
        if count == 0 or out[b]["ts"] != ts or out[b]["lane"] != bars[i]["lane"]:
            out[count] = bars[i]
            out[count]["ts"] = ts
            out[count]["width"] = width
            count += 1
            continue
        if bars[i]["open_id"] < out[b]["open_id"]:
            out[b]["open_id"] = bars[i]["open_id"]
            out[b]["open"] = bars[i]["open"]
        if bars[i]["close_id"] > out[b]["close_id"]:
            out[b]["close_id"] = bars[i]["close_id"]
            out[b]["close"] = bars[i]["close"]
        out[b]["high"] = max(out[b]["high"], bars[i]["high"])
        out[b]["low"] = min(out[b]["low"], bars[i]["low"])
        out[b]["volume"] += bars[i]["volume"]
        out[b]["count"] += bars[i]["count"]
    return count


def _merge(bars: NDArray[np.void], width: int) -> NDArray[np.void]:
    """Merge increments into buckets of `width` seconds, sorted by lane and bucket."""
    order = np.arange(len(bars))
    buckets, ordered = _count_buckets(bars, width)
    if not ordered:
        order = np.lexsort((bars["ts"], bars["lane"]))
        buckets = len(bars)
    elif width == 1 and buckets == len(bars):
        return bars
    out = np.empty(buckets, BAR)
    return out[: _fold_runs(order, bars, width, out)]


@kernel
def _count_buckets(bars: NDArray[np.void], width: int) -> tuple[int, bool]:
    """Count the buckets of consecutive increments, and tell whether they come in order of lane and time."""
    span = width * NS
    count = 0
    ordered = True
    before, lane_before = 0, -1
    for i in range(len(bars)):
        bucket, lane = bars[i]["ts"] // span, bars[i]["lane"]
        if bucket != before or lane != lane_before:
            count += 1
        if lane < lane_before or (lane == lane_before and bucket < before):
            ordered = False
        before, lane_before = bucket, lane
    return count, ordered
