"""The table of rules, and which of them is armed on which lane with which parameters.

One file per rule; RULES is the registry, in the order in which rules are tested on a row.
"""

import difflib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec import Struct

from tapewatch.detect.rule import Rule
from tapewatch.detect.rules import (
    abs_jump,
    blind_feed,
    hour_move,
    mean_reversion_break,
    new_numbering,
    pct_spike,
    silent_feed,
    slow_move,
    tape_gap,
    vol_breakout,
)
from tapewatch.errors import ConfigError

RULES: tuple[Rule, ...] = (
    pct_spike.RULE,
    abs_jump.RULE,
    vol_breakout.RULE,
    mean_reversion_break.RULE,
    slow_move.RULE,
    hour_move.RULE,
    silent_feed.RULE,
    tape_gap.RULE,
    blind_feed.RULE,
    new_numbering.RULE,
)

NAMED: dict[str, Rule] = {name.lower(): rule for rule in RULES for name in (rule.name, rule.words)}
"""Rules by their names and by the words that people see, in small letters."""

FLOORS = ("floor_quote", "floor_pct")
"""Two ways to say one thing: setting one unsets the other."""

Override = tuple[str, dict[str, Any]]


class RuleBook:
    """Parameters of every rule by symbol: the defaults, then what the configuration says.

    Examples
    --------
    >>> book = RuleBook.of({"abs_jump": {"ETH-*": {"limit_quote": 5}}, "pct_spike": {"threshold_pct": 0.5}})
    >>> book.params(RULES[1], "ETH-USD").limit_quote, book.params(RULES[1], "SOL-USD")
    (5.0, None)
    >>> book.params(RULES[0], "SOL-USD").threshold_pct
    0.5
    """

    def __init__(self, overrides: Mapping[str, tuple[Override, ...]]) -> None:
        self._overrides = overrides

    @classmethod
    def default(cls) -> "RuleBook":
        """Build the book with nothing but defaults."""
        return cls({})

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "RuleBook":
        """Read section ``rules``: ``rules.NAME.KEY`` for all symbols, ``rules.NAME."PATTERN".KEY`` for some.

        A rule may be named as it is shown: ``rules."Fast move"``. ``armed = false`` disarms a rule; setting any
        parameter arms it. Later patterns win.

        Raises
        ------
        ConfigError
            Unknown rules, keys or values, all of them, a line each: named with what was expected.
        """
        overrides: dict[str, tuple[Override, ...]] = {}
        faults: list[str] = []
        for name, section in plain.items():
            rule = NAMED.get(name.lower())
            if rule is None:
                faults.append(f"rules.{name}: unknown rule; {_near(name, [rule.name for rule in RULES])}")
            elif not isinstance(section, Mapping):
                faults.append(f"rules.{name}: expected a table of parameters, found {section!r}")
            else:
                everywhere = {key: value for key, value in section.items() if not isinstance(value, Mapping)}
                patterns = [(key, dict(value)) for key, value in section.items() if isinstance(value, Mapping)]
                overrides[rule.name] = (*((("*", everywhere),) if everywhere else ()), *patterns)
        book = cls(overrides)
        for rule in RULES:
            for pattern, values in overrides.get(rule.name, ()):
                found = _faults(rule, pattern, values)
                faults += found
                if not found:
                    try:
                        book.params(rule, pattern)
                    except ConfigError as error:
                        faults.append(str(error))
        if faults:
            raise ConfigError("\n".join(faults))
        return book

    def params(self, rule: Rule, symbol: str) -> Struct | None:
        """Parameters of a rule on a symbol, None where it is not armed.

        Raises
        ------
        ConfigError
            What the configuration says for this symbol is no valid set of parameters.
        """
        chosen: Struct | None = None
        for pattern, params in rule.defaults.items():
            if fnmatchcase(symbol, pattern):
                chosen = params
        for pattern, values in self._overrides.get(rule.name, ()):
            if fnmatchcase(symbol, pattern) or symbol == pattern:
                chosen = _override(rule, chosen, pattern, values)
        return chosen


def _override(rule: Rule, chosen: Struct | None, pattern: str, values: Mapping[str, Any]) -> Struct | None:
    values = dict(values)
    if values.pop("armed", True) is False:
        return None
    plain = msgspec.structs.asdict(chosen) if chosen is not None else {}
    if any(floor in values for floor in FLOORS):
        plain = {key: value for key, value in plain.items() if key not in FLOORS}
    try:
        return msgspec.convert({**plain, **values}, rule.params, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{_where(rule, pattern)}: {error}; found {values}") from None


def _faults(rule: Rule, pattern: str, values: Mapping[str, Any]) -> list[str]:
    # Each key by itself, beside defaults that are valid: the library stops at the first fault.
    where, faults = _where(rule, pattern), []
    fields = {field.name: field.type for field in msgspec.structs.fields(rule.params)}
    for key, value in values.items():
        if key == "armed" and not isinstance(value, bool):
            faults.append(f"{where}.armed: expected true or false, found {value!r}")
        elif key != "armed" and key not in fields:
            faults.append(f"{where}.{key}: unknown key; {_near(key, ['armed', *fields])}")
        elif key != "armed":
            try:
                msgspec.convert(value, fields[key], strict=False)
            except msgspec.ValidationError as error:
                expected = str(error).partition(" - at ")[0].replace("Expected", "expected").replace("`", "")
                faults.append(f"{where}.{key}: {expected}, found {value!r}")
    return faults


def _where(rule: Rule, pattern: str) -> str:
    return f"rules.{rule.name}" + ("" if pattern == "*" else f'."{pattern}"')


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
