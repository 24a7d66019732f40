"""The price stands far from the mean of the last seconds, in their standard deviations and by a floor."""

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from tapewatch.detect import samples
from tapewatch.detect.anomaly import end_quiet, fire, hold, quiet_from
from tapewatch.detect.kernels import (
    FOREVER,
    NEVER,
    bounds_of_prices,
    complete_second,
    enter_second,
    kernel,
    least_of,
    limit_of,
    reaches,
    sigma_of_prices,
    slide_sum,
)
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
from tapewatch.detect.window import STRETCH
from tapewatch.detect.words import decimals, mean_text, number_text, plain_text
from tapewatch.model import NS, PRICE_SCALE


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
    first: NDArray[np.int64],
    lowest: NDArray[np.int64],
    highest: NDArray[np.int64],
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
    head, tail, up, down = ends[0], ends[1], slots[0], slots[1]
    share = float(num) / float(den) if den != 0 else 0.0
    seen, total, least = -2, 0, FOREVER  # Σ of the n samples before `seen`, and a deviation too small to fire, times n
    bounded, at_least, at_most = -1, 0.0, 0.0  # σ lies between; wanted at most once a second, and only behind the floor
    s, count, full = start, 0, len(events) - EVENTS_PER_ROW * STRETCH
    while s < len(first) - 1 and count <= full:
        k, stop = first[s], first[s + 1]
        s += 1
        if kind[k] not in (TRADE, FRESH):
            if kind[k] == CLOCK and ts[k] != 0:
                count = end_quiet(up, down, ts[k], quiet_ns, row[k], events, count)
            continue
        if kind[k] == FRESH:
            head, seen, least, second[0]["end"] = tail, tail, FOREVER, 0
        if ts[k] >= second[0]["end"] and second[0]["end"] != 0:
            tail = complete_second(second, taken, head, tail)
        if tail - head >= n and seen != tail:
            seen, total = tail, slide_sum(taken, total, seen, tail, n)
            least = least_of(total, n * floor_units, den, share)
        farthest = max(n * price[highest[s - 1]] - total, total - n * price[lowest[s - 1]])
        quiet = quiet_from(up, down, quiet_ns)
        if farthest < least and ts[stop - 1] < quiet:
            k = stop  # none of these trades fires, and nothing ends
        for i in range(k, stop):
            now, deviation = ts[i], n * price[i] - total  # both fit an int64 for 90 samples: the sum of differences
            if now >= quiet:
                count = end_quiet(up, down, now, quiet_ns, row[i], events, count)
                quiet = quiet_from(up, down, quiet_ns)
            if abs(deviation) >= least and reaches(abs(deviation), total, n * floor_units, num, den, share):
                slot, way = (up, 1) if deviation > 0 else (down, -1)
                size = float(abs(deviation)) / float(n)
                if bounded != tail:
                    bounded = tail
                    at_least, at_most = bounds_of_prices(taken, tail, n, total)
                if size >= sigmas * at_least and (slot["open"] == 0 or size < sigmas * at_most):
                    at_least = at_most = sigma_of_prices(taken, tail, n)
                observed = float(deviation) / float(n * PRICE_SCALE)
                if size >= sigmas * at_least and not hold(slot, abs(observed), now):
                    threshold = limit_of(sigmas * at_least, float(total) / float(n), floor_units, num, den)
                    gap, since = gap_ts[i] >= taken[tail - n]["ts"], taken[tail - 1]["ts"]
                    count = fire(
                        slot, way, data, row[i], now, total, n, since, NEVER, observed, threshold, gap, events, count
                    )
                    quiet = min(quiet, quiet_from(up, down, quiet_ns))
        enter_second(second, price[stop - 1], ts[stop - 1])
    ends[0], ends[1] = head, tail
    return s, count


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
    window=lambda params: params.samples * NS,
    about=(
        "Fires when the price stands at least `sigmas` standard deviations of the last `samples` completed seconds "
        "from their mean, and at least the floor. Silent until there are that many seconds."
    ),
    example="LINK-USD stands 0.534 above its 60-second mean of 18.632 (limit 0.410)",
    warming=lambda state, params: samples.lacking(state, params.samples),
    avoid="As a signal to trade against a trend: in a steady slide the price stands below its mean all the way down.",
)
