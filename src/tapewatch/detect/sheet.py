"""The sheet of a rule, for people: what it does, its parameters with bounds and defaults, when not to use it."""

from textwrap import fill
from typing import get_args, get_type_hints

from msgspec import UNSET, Meta
from msgspec.structs import fields

from tapewatch.detect.rule import Rule, parameters
from tapewatch.detect.rules import RuleBook
from tapewatch.detect.words import plain_text

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")
"""One symbol of each kind that the defaults tell apart."""


def sheet(rule: Rule, book: RuleBook) -> str:
    """Write everything there is to know about a rule as plain text, 100 columns wide."""
    parts = [f"{rule.name} · {rule.words} · severity {rule.severity}", fill(rule.about, 100)]
    if fields(rule.params):
        parts.append("Parameters\n" + "\n".join(_parameters(rule)))
    table = f"[rules.{rule.name}]"
    some = f'[rules.{rule.name}."BTC-*"]'
    limits = [f"  {symbol:<9} {_limits(rule, book, symbol)}" for symbol in SYMBOLS]
    parts += [
        "Limits now\n" + "\n".join(limits),
        f"Example\n  {rule.example}",
        "When not to use it\n" + fill(rule.avoid, 98, initial_indent="  ", subsequent_indent="  "),
        f"To change it: tapewatch.toml, table {table} or {some}; armed = false turns it off.",
    ]
    return "\n\n".join(parts)


def _parameters(rule: Rule) -> list[str]:
    hints = get_type_hints(rule.params, include_extras=True)
    lines = []
    for field in fields(rule.params):
        meta = next(meta for hint in (hints[field.name], *get_args(hints[field.name])) for meta in _metas(hint))
        default = "" if field.default in (None, UNSET) else f", default {plain_text(field.default)}"
        bounds = (
            f"{plain_text(meta.ge)} to {plain_text(meta.le)}" if meta.ge is not None and meta.le is not None else ""
        )
        lines.append(f"  {field.name:<14} {meta.description} ({bounds}{default})")
    return lines


def _metas(hint: object) -> list[Meta]:
    return [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta)]


def _limits(rule: Rule, book: RuleBook, symbol: str) -> str:
    params = book.params(rule, symbol)
    if params is None:
        return "off"
    return f"{rule.limit(params)}  ({', '.join(f'{key} {value}' for key, value in parameters(params).items())})"
