"""What a person asks the runtime for in a dashboard: requests in, a sentence for each of them out."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

import msgspec
from msgspec import Struct

from tapewatch.detect.rules import RuleBook
from tapewatch.errors import ConfigError
from tapewatch.store.records import Request

LIMITS = "limits"
"""Kind of the request, and name of the blob in the table ``state``, for new limits."""


class Setting(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of the request ``limits``: parameters of one rule on all symbols that match a pattern.

    Attributes
    ----------
    values
        As in the configuration; empty: back to what is configured.
    """

    rule: str
    pattern: str = "*"
    values: dict[str, bool | int | float] = {}


class Limits:
    """The limits in force: what is configured, and on top of it what a person has set since.

    Parameters
    ----------
    configured
        Section ``rules`` of the configuration.
    settings
        In the order in which they were set; later ones win.

    Examples
    --------
    >>> limits = Limits({}).change(Setting("abs_jump", "ETH-*", {"limit_quote": 5}))
    >>> Limits.decode({}, limits.encode()).settings == limits.settings
    True
    """

    def __init__(self, configured: Mapping[str, Any], settings: tuple[Setting, ...] = ()) -> None:
        self.settings = settings
        self._configured = configured
        plain = deepcopy(dict(configured))
        for setting in settings:
            section = plain.setdefault(setting.rule, {})
            section[setting.pattern] = {**section.pop(setting.pattern, {}), **setting.values}
        self.book = RuleBook.of(plain)

    @classmethod
    def decode(cls, configured: Mapping[str, Any], blob: bytes | None) -> Self:
        """Read what `encode` wrote; None where nothing was ever set."""
        return cls(configured, () if blob is None else msgspec.json.decode(blob, type=tuple[Setting, ...]))

    def encode(self) -> bytes:
        """Write the settings, for the database."""
        return msgspec.json.encode(self.settings)

    def change(self, setting: Setting) -> "Limits":
        """Set one rule's parameters on some symbols, together with what was set there before.

        Raises
        ------
        ConfigError
            An unknown rule or parameter, or a value out of its bounds.
        """
        RuleBook.of({setting.rule: {}})  # an unknown rule is refused even where nothing is set
        same = [old for old in self.settings if (old.rule, old.pattern) == (setting.rule, setting.pattern)]
        others = tuple(old for old in self.settings if old not in same)
        if not setting.values:
            return Limits(self._configured, others)
        values = {key: value for old in same for key, value in old.values.items()} | setting.values
        return Limits(self._configured, (*others, msgspec.structs.replace(setting, values=values)))


def answer(request: Request, limits: Limits) -> tuple[str, Limits]:
    """Judge a request.

    Returns
    -------
    tuple
        The sentence for the person who asked, and the limits from now on.
    """
    if request.kind != LIMITS:
        return f"refused: expected a request of kind {LIMITS}, found {request.kind!r}", limits
    try:
        setting = msgspec.json.decode(request.arguments, type=Setting)
        changed = limits.change(setting)
    except (msgspec.DecodeError, ConfigError) as error:
        return f"refused: {error}", limits
    values = ", ".join(f"{key} {value}" for key, value in setting.values.items()) or "as configured"
    return f"done: {setting.rule} on {setting.pattern}: {values}", changed
