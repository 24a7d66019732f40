"""Words that a person typed become a `Filter`.

In: texts of flags. Out: a filter; a word that is none of the expected ones is a `ConfigError` that names them.
"""

import difflib
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from tapewatch.errors import ConfigError
from tapewatch.model import Direction
from tapewatch.view.queries import Filter
from tapewatch.words import RULES, SEVERITIES, rule_of

SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
LAST_MAX_S = 10 * 365 * 86_400

T = TypeVar("T", bound=str)


def filter_of(
    *,
    severities: Sequence[str] = (),
    types: Sequence[str] = (),
    directions: Sequence[str] = (),
    symbols: Sequence[str] = (),
    last: str = "1h",
    min_size: float = 0.0,
) -> Filter:
    """Read a filter.

    Parameters
    ----------
    types
        Names of rules, or their words with hyphens: ``pct_spike`` or ``fast-move``.
    last
        ``5m``, ``1h``, ``24h``, ``7d`` and the like, or ``all``.
    min_size
        How many times its limit an anomaly is at least; 0 for all.

    Raises
    ------
    ConfigError
        Naming the flag, what it expects and what was found.
    """
    ways: tuple[Direction, ...] = ("up", "down")
    return Filter(
        severities=tuple(one_of("--severity", each.lower(), SEVERITIES) for each in severities),
        rules=tuple(_rule(each) for each in types),
        directions=tuple(one_of("--direction", each.lower(), ways) for each in directions),
        symbols=tuple(each.upper() for each in symbols),
        recency_s=None if last == "all" else span_of(last, "--last", or_all=True),
        min_size=min_size,
    )


def _rule(text: str) -> str:
    rule = rule_of(text)
    return (
        rule if rule in RULES else one_of("--type", text, [word.lower().replace(" ", "-") for word in RULES.values()])
    )


def one_of(flag: str, text: str, choices: Collection[T]) -> T:
    """Find the choice that a person typed.

    Raises
    ------
    ConfigError
        It is none of them.
    """
    for choice in choices:
        if choice == text:
            return choice
    close = difflib.get_close_matches(text, choices, n=1)
    nearest = f"; did you mean {close[0]}?" if close else ""
    *first, final = choices
    raise ConfigError(f"{flag} expects {', '.join(first)} or {final}, found {text!r}{nearest}")


def moment_of(text: str, flag: str) -> float:
    """Read a moment, UTC where it names no other offset.

    Returns
    -------
    float
        Seconds since the epoch.

    Raises
    ------
    ConfigError
        It is none.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{flag} expects a moment such as '2026-01-31 14:00', found {text!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def span_of(text: str, flag: str, *, or_all: bool = False) -> int:
    """Read a span of time.

    Returns
    -------
    int
        Seconds, 1 to ten years.

    Raises
    ------
    ConfigError
        It is none.
    """
    found = re.fullmatch(r"(\d{1,9})\s*(s|m|min|h|d)", text.strip().lower())
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if not 0 < seconds <= LAST_MAX_S:
        more = ", or all" if or_all else ""
        raise ConfigError(f"{flag} expects a span such as 5m, 1h, 24h or 7d{more}, found {text!r}")
    return seconds
