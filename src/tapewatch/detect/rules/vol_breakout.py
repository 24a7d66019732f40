"""The price leaves the last second's price by more than recent seconds ever moved, and by a floor.

Returns are taken on a grid of seconds, because trade-to-trade returns measure fat tails, not events.
"""

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from tapewatch.detect import samples
from tapewatch.detect.anomaly import end_quiet, fire, hold, quiet_from
from tapewatch.detect.kernels import (
    FOREVER,
    NEVER,
    bounds_of_returns,
    complete_second,
    enter_second,
    kernel,
    least_of,
    limit_of,
    reaches,
    sigma_of_returns,
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
from tapewatch.detect.words import decimals, move_text, number_text, plain_text, price_text
from tapewatch.model import NS, PRICE_SCALE


class VolBreakout(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `vol_breakout`."""

    sigmas: Sigmas = 3
    returns: Annotated[int, Meta(ge=2, le=90, description="Returns between completed seconds that σ is taken of")] = 60
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
    returns: int,
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
    seen, base, least = -1, 0, FOREVER  # as of the second before `seen`: its price, and a move too small to fire
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
        if tail - head > returns and seen != tail:
            seen, base = tail, taken[tail - 1]["price"]
            least = least_of(base, floor_units, den, share)
        farthest = max(price[highest[s - 1]] - base, base - price[lowest[s - 1]])
        quiet = quiet_from(up, down, quiet_ns)
        if farthest < least and ts[stop - 1] < quiet:
            k = stop  # none of these trades fires, and nothing ends
        for i in range(k, stop):
            now, p, move = ts[i], price[i], price[i] - base
            if now >= quiet:
                count = end_quiet(up, down, now, quiet_ns, row[i], events, count)
                quiet = quiet_from(up, down, quiet_ns)
            if abs(move) >= least and reaches(abs(move), base, floor_units, num, den, share):
                slot, way = (up, 1) if move > 0 else (down, -1)
                size = abs(float(p) / float(base) - 1.0)
                if bounded != tail:
                    bounded = tail
                    at_least, at_most = bounds_of_returns(taken, tail, returns)
                if size >= sigmas * at_least and (slot["open"] == 0 or size < sigmas * at_most):
                    at_least = at_most = sigma_of_returns(taken, tail, returns)
                observed = float(move) / float(PRICE_SCALE)
                if size >= sigmas * at_least and not hold(slot, abs(observed), now):
                    threshold = limit_of(sigmas * at_least * float(base), float(base), floor_units, num, den)
                    gap, since = gap_ts[i] >= taken[tail - 1 - returns]["ts"], taken[tail - 1]["ts"]
                    count = fire(
                        slot, way, data, row[i], now, base, 1, since, NEVER, observed, threshold, gap, events, count
                    )
                    quiet = min(quiet, quiet_from(up, down, quiet_ns))
        enter_second(second, price[stop - 1], ts[stop - 1])
    ends[0], ends[1] = head, tail
    return s, count


def scan(work: Work, state: RuleState, params: VolBreakout) -> bytes:
    """Fold one lane's new rows."""
    floor = floor_of(params.floor_quote, params.floor_pct)
    return samples.scan(
        _loop, work, state, params.returns + 1, (float(params.sigmas), params.returns, *floor, ns_of(params.quiet_s))
    )


def explain(facts: Facts, params: VolBreakout) -> str:  # noqa: ARG001  # every rule is asked the same way
    """One sentence a trader understands."""
    verb = "rose" if facts.direction > 0 else "fell"
    side = "above" if facts.direction > 0 else "below"
    move = move_text(facts.price, facts.reference)
    limit = number_text(facts.threshold, max(decimals(facts.price), decimals(facts.reference)))
    return f"{facts.lane.symbol} {verb} {move} {side} the last second's {price_text(facts.reference)} (limit {limit})"


def limit(params: VolBreakout) -> str:
    """Say the limit in a few words."""
    floor = floor_text(params.floor_quote, params.floor_pct)
    return f"{plain_text(params.sigmas)} σ of {params.returns} returns, at least {floor}"


RULE = Rule(
    name="vol_breakout",
    words="Volatility breakout",
    severity="medium",
    kind="market",
    unit="",
    params=VolBreakout,
    defaults={"*": VolBreakout(floor_pct=0.12), "BTC-*": VolBreakout(floor_quote=15)},
    queues=samples.QUEUES,
    scan=scan,
    explain=explain,
    limit=limit,
    window=lambda _: NS,
    about=(
        "Fires when the return from the last completed second reaches sigmas standard deviations of the last `returns` "
        "returns between completed seconds, and the move reaches the floor. Silent until there are returns + 1 seconds."
    ),
    example="LINK-USD rose 0.870 above the last second's 17.588 (limit 0.622)",
    warming=lambda state, params: samples.lacking(state, params.returns + 1),
    avoid="On lanes that trade less than once in a few seconds: the last completed second may then be minutes old.",
)
