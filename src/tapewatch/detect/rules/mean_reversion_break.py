"""The price stands far from the mean of the last seconds, in their standard deviations and by a floor."""

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from tapewatch.detect import samples
from tapewatch.detect.anomaly import NOTHING, emit, end, fire, gone_quiet
from tapewatch.detect.kernels import complete_second, enter_second, kernel, reaches, sigma_of_prices, slide_sum
from tapewatch.detect.rule import (
    CLOCK,
    EVENTS_PER_ROW,
    FRESH,
    TRADE,
    Facts,
    FloorPct,
    FloorQuote,
    QuietS,
    Rule,
    RuleState,
    Sigmas,
    Work,
    check_floor,
    floor_of,
    floor_text,
    ns_of,
)
from tapewatch.detect.words import decimals, mean_text, number_text, plain_text
from tapewatch.model import PRICE_SCALE


class MeanReversionBreak(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `mean_reversion_break`."""

    sigmas: Sigmas = 2
    samples: Annotated[int, Meta(ge=2, le=90, description="Completed seconds that mean and σ are taken of")] = 60
    floor_quote: FloorQuote | None = None
    floor_pct: FloorPct | None = None
    quiet_s: QuietS = 60

    def __post_init__(self) -> None:
        check_floor(self.floor_quote, self.floor_pct)


@kernel
def _loop(
    data: NDArray[np.void],
    row: NDArray[np.int64],
    kind: NDArray[np.uint8],
    ts: NDArray[np.int64],
    price: NDArray[np.int64],
    gap_ts: NDArray[np.int64],
    start: int,
    sigmas: float,
    n: int,
    floor_units: int,
    num: int,
    den: int,
    quiet_ns: int,
    second: NDArray[np.void],
    taken: NDArray[np.void],
    ends: NDArray[np.int64],
    slots: NDArray[np.void],
    events: NDArray[np.void],
) -> tuple[int, int]:
    head, tail = ends[0], ends[1]
    summed, total = -2, 0  # Σ of the n samples before `summed`
    known, sigma = -1, 0.0  # σ is computed at most once a second, and only behind the floor
    share = float(num) / float(den) if den != 0 else 0.0
    up, down = slots[0], slots[1]
    count = 0
    k = start
    rows = len(row)
    full = len(events) - EVENTS_PER_ROW
    while k < rows and count <= full:
        what = kind[k]
        if what in (TRADE, FRESH):
            now, p = ts[k], price[k]
            if what == FRESH:
                head = tail
                second[0]["end"] = 0
            if now >= second[0]["end"] and second[0]["end"] != 0:
                tail = complete_second(second, taken, head, tail)
            if gone_quiet(up, now, quiet_ns):
                count = end(up, now, row[k], events, count)
            if gone_quiet(down, now, quiet_ns):
                count = end(down, now, row[k], events, count)
            if tail - head >= n:
                if summed != tail:
                    total = slide_sum(taken, total, summed, tail, n)
                    summed = tail
                deviation = n * p - total  # both fit an int64 for 90 samples, so this is the sum of differences
                if reaches(abs(deviation), total, n * floor_units, num, den, share):
                    if known != tail:
                        known = tail
                        sigma = sigma_of_prices(taken, tail, n)
                    if float(abs(deviation)) / float(n) >= sigmas * sigma:
                        floor = float(total) / float(n) * float(num) / float(den) if den != 0 else float(floor_units)
                        threshold = max(sigmas * sigma, floor) / float(PRICE_SCALE)
                        observed = float(deviation) / float(n * PRICE_SCALE)
                        gap = gap_ts[k] >= taken[tail - n]["ts"]
                        since = taken[tail - 1]["ts"]
                        slot, way = (up, 1) if deviation > 0 else (down, -1)
                        told = fire(slot, way, data[row[k]], now, total, n, since, observed, threshold, gap)
                        if told != NOTHING:
                            count = emit(slot, told, row[k], now, events, count)
            enter_second(second, p, now)
        elif what == CLOCK and ts[k] != 0:
            if gone_quiet(up, ts[k], quiet_ns):
                count = end(up, ts[k], row[k], events, count)
            if gone_quiet(down, ts[k], quiet_ns):
                count = end(down, ts[k], row[k], events, count)
        k += 1
    ends[0], ends[1] = head, tail
    return k, count


def scan(work: Work, state: RuleState, params: MeanReversionBreak) -> bytes:
    """Fold one lane's new rows."""
    floor = floor_of(params.floor_quote, params.floor_pct)
    return samples.scan(
        _loop, work, state, params.samples, (float(params.sigmas), params.samples, *floor, ns_of(params.quiet_s))
    )


def explain(facts: Facts, params: MeanReversionBreak) -> str:
    """One sentence a trader understands."""
    side = "above" if facts.direction > 0 else "below"
    places = decimals(facts.price)
    count = facts.reference_n
    deviation = mean_text(abs(count * facts.price - facts.reference), count, places)
    mean = mean_text(facts.reference, count, places)
    limit = number_text(facts.threshold, places)
    return f"{facts.lane.symbol} stands {deviation} {side} its {params.samples}-second mean of {mean} (limit {limit})"


def limit(params: MeanReversionBreak) -> str:
    """Say the limit in a few words."""
    floor = floor_text(params.floor_quote, params.floor_pct)
    return f"{plain_text(params.sigmas)} σ of {params.samples} seconds, at least {floor}"


RULE = Rule(
    name="mean_reversion_break",
    words="Mean stretch",
    severity="low",
    kind="market",
    unit="",
    params=MeanReversionBreak,
    defaults={"*": MeanReversionBreak(floor_pct=0.20), "BTC-*": MeanReversionBreak(floor_quote=25)},
    queues=samples.QUEUES,
    scan=scan,
    explain=explain,
    limit=limit,
    about=(
        "Fires when the price stands at least `sigmas` standard deviations of the last `samples` completed seconds "
        "from their mean, and at least the floor. Silent until there are that many seconds."
    ),
    example="LINK-USD stands 0.534 above its 60-second mean of 18.632 (limit 0.410)",
    avoid="As a signal to trade against a trend: in a steady slide the price stands below its mean all the way down.",
)
