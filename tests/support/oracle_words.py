"""How the oracle writes numbers and sentences: exact integers and fractions in, text out.

Nothing here is shared with the package: it is the second, independent reading of the rules.
"""

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

NS = 10**9
UNITS = 10**10  # units of price in one unit of the quote currency


def plain(value: float | str) -> str:
    """Write a parameter as a decimal without trailing zeros: 10.0 → "10", 0.25 → "0.25", 1e-05 → "0.00001"."""
    text = format(Decimal(str(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact(value: float | str) -> Fraction:
    """Read a parameter as the decimal number that a person wrote."""
    return Fraction(str(value))


def identity(lane: tuple[str, str], rule: str, direction: str | None, parameters: dict[str, float], key: int) -> str:
    """Hash what makes an anomaly itself: BLAKE2b, 16 bytes, of the compact JSON array."""
    written = {name: plain(parameters[name]) for name in sorted(parameters)}
    text = json.dumps([*lane, rule, direction, written, key], separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def iso(ts: int) -> str:
    """Write ns since the epoch as ISO 8601 UTC with nine decimals."""
    return f"{datetime.fromtimestamp(ts // NS, UTC):%Y-%m-%dT%H:%M:%S}.{ts % NS:09d}Z"


def quote_of(symbol: str) -> str:
    """Name the quote currency: "BTC-USD" → "USD"."""
    return symbol.rpartition("-")[2]


def decimals_of(units: int) -> int:
    """Count the decimals that an amount in units of 1e-10 needs, at least 2."""
    return max(2, len(f"{abs(units) % UNITS:010d}".rstrip("0")))


def rounded(amount: Fraction | float, decimals: int) -> str:
    """Write a non-negative amount with thousands separators, rounded half-even to so many decimals."""
    whole, part = divmod(round(Fraction(amount) * 10**decimals), 10**decimals)
    return f"{whole:,}.{part:0{decimals}d}"


def price_text(units: int) -> str:
    """Write a price, or a limit in the quote currency, stripped to at least 2 decimals."""
    return rounded(Fraction(units, UNITS), decimals_of(units))


def difference_text(price: int, start: int) -> str:
    """Write how far two prices lie apart, with the decimals of the more precise one."""
    return rounded(Fraction(abs(price - start), UNITS), max(decimals_of(price), decimals_of(start)))


def seconds_text(ns: int) -> str:
    """Write a duration in seconds with 1 decimal."""
    return rounded(Fraction(ns, NS), 1)


def minutes_text(ns: int) -> str:
    """Write a duration as a person says it: "under 1 s", "42 s", "3 min 40 s", and from ten minutes on "37 min"."""
    if ns < NS:
        return "under 1 s"
    seconds = round(Fraction(ns, NS))
    if seconds < 60:
        return f"{seconds} s"
    if seconds >= 600:
        return f"{round(Fraction(ns, 60 * NS))} min"
    return f"{seconds // 60} min {seconds % 60} s".removesuffix(" 0 s")


def window_sentence(
    moved: str, *, elapsed: int, older: bool, start: int, price: int, limit: str, window_s: float
) -> str:
    """Say what `pct_spike` and `abs_jump` saw; `older`: the reference stands before the window."""
    when = f"from its last trade {seconds_text(elapsed)} s before" if older else f"in {seconds_text(elapsed)} s"
    path = f"from {price_text(start)} to {price_text(price)}"
    return f"{moved} {when}, {path} (limit {limit} in {plain(window_s)} s)"


def breakout_sentence(symbol: str, price: int, base: int, threshold: float) -> str:
    """Say what `vol_breakout` saw."""
    verb, side = ("rose", "above") if price > base else ("fell", "below")
    limit = rounded(threshold, max(decimals_of(price), decimals_of(base)))
    return f"{symbol} {verb} {difference_text(price, base)} {side} the last second's {price_text(base)} (limit {limit})"


def stretch_sentence(symbol: str, price: int, total: int, n: int, threshold: float) -> str:
    """Say what `mean_reversion_break` saw: the price against the mean total / n."""
    decimals = decimals_of(price)
    side = "above" if n * price > total else "below"
    size = rounded(Fraction(abs(n * price - total), n * UNITS), decimals)
    mean = rounded(Fraction(total, n * UNITS), decimals)
    return f"{symbol} stands {size} {side} its {n}-second mean of {mean} (limit {rounded(threshold, decimals)})"


def silence_sentence(venue: str, ns: int, limit_s: float, why: int) -> str:
    """Say what `silent_feed` saw; `why` is the clock's word on it."""
    if why == 1:
        return f"no data from {venue} for {seconds_text(ns)} s: never connected (limit {plain(limit_s)} s)"
    if why == 2:
        return f"no data from {venue} for {seconds_text(ns)} s: not one frame yet (limit {plain(limit_s)} s)"
    return f"no frame from {venue} for {seconds_text(ns)} s (limit {plain(limit_s)} s)"


BLIND = {
    1: "never connected",
    2: "not one frame yet",
    3: "the venue trades and none of it comes",
    4: "the venue trades and none gets through (all told again)",
    5: "the venue trades and none gets through (all in quarantine)",
    6: "the venue trades and none gets through (all too late)",
    7: "the venue trades and none gets through (no heartbeat confirms their ids)",
    9: "the venue does not serve it",
    10: "too many rows wait to be stored, so nothing is read",
}


def blind_sentence(symbol: str, ns: int, limit_s: float, why: int) -> str:
    """Say what `blind_feed` saw."""
    reason = BLIND.get(why, "the venue trades and none gets through")
    return f"{symbol} blind for {seconds_text(ns)} s: {reason} (limit {plain(limit_s)} s)"


def anew_sentence(symbol: str, first: int, last: int) -> str:
    """Say what `new_numbering` saw; the tape raises the ids of each numbering by 10 ** 15."""
    ids = f"from {first % 10**15} after {last % 10**15}"
    return f"{symbol} has its trades numbered anew, {ids}: trades between the two may be missing"


def missing_sentence(first: int, last: int) -> str:
    """Say what `tape_gap` saw."""
    if first == last:
        return f"1 trade missing, id {first}"
    return f"{last - first + 1} trades missing, ids {first} to {last}"
