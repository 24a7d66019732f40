"""Settings from several places become one value per key, and it is known where each came from.

Defaults < ``tapewatch.toml`` < ``TAPEWATCH_SECTION__KEY`` < flags. This file merges plain sections;
each section is decoded by the struct that its owner declares (see `Settings.section`).
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from tapewatch.errors import ConfigError

PREFIX = "TAPEWATCH_"

SECRET = {"options", "option_files"}
"""Sections whose values may be passwords: what was found there is not told."""

_PLAIN_WORDS = (
    (r", got `[^`]+`", ""),  # what was found is said as it stands
    (r"`array` of length >= (\d+)", r"a list of at least \1"),
    (r"`array` of length <= (\d+)", r"a list of at most \1"),
    (r"`array`", 'a list like ["A", "B"]'),
    (r"`str` of length >= (\d+)", r"a text of at least \1 character(s)"),
    (r"`str` of length <= (\d+)", r"a text of at most \1 characters"),
    (r" \| null`", "`"),
    (r"`str`", "a text"),
    (r"`int`", "a whole number"),
    (r"`float`", "a number"),
    (r"`bool`", "true or false"),
    (r"`object`", "a section"),
    (r"invalid RFC3339 encoded datetime", "expected a time like 2026-07-07T22:58:00Z"),
)
"""What the decoding library says of a wrong value, and what a person reads instead."""

T = TypeVar("T", bound=msgspec.Struct)


class Entry(NamedTuple):
    """One value and where it came from."""

    value: Any
    origin: str


class Settings:
    """Merged settings: dotted key → value and origin.

    Examples
    --------
    >>> settings = Settings.load(None, {"TAPEWATCH_CAPTURE__SYMBOLS": '["ETH-USD"]'}, ["dashboard.port=9000"])
    >>> settings.entries["capture.symbols"]
    Entry(value=['ETH-USD'], origin='TAPEWATCH_CAPTURE__SYMBOLS')
    >>> settings.entries["dashboard.port"].value
    9000
    """

    def __init__(self, entries: dict[str, Entry]) -> None:
        self.entries = entries

    @classmethod
    def load(cls, path: Path | None, environ: Mapping[str, str], overrides: Iterable[str] = ()) -> "Settings":
        """Merge file, environment and ``section.key=value`` overrides; later ones win.

        Raises
        ------
        ConfigError
            The file cannot be read or parsed, or an override is not ``section.key=value``.
        """
        entries: dict[str, Entry] = {}
        if path is not None:
            entries.update(_flatten(_read(path), str(path)))
        for name in sorted(environ):
            if name.startswith(PREFIX) and "__" in name:
                key = name.removeprefix(PREFIX).lower().replace("__", ".")
                entries[key] = Entry(_value(environ[name]), name)
        for text in overrides:
            key, equals, value = text.partition("=")
            if not equals or "." not in key:
                raise ConfigError(f"--set expects section.key=value, found {text!r}")
            entries[key.strip()] = Entry(_value(value), "flag")
        return cls(entries)

    def only(self, sections: Iterable[str]) -> None:
        """Refuse sections that nobody owns.

        Raises
        ------
        ConfigError
            Naming the key, where it was set, and the section that was probably meant.
        """
        known = tuple(sections)
        for key, entry in self.entries.items():
            name = _split(key)[0]
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
                raise ConfigError(f"{key} in {entry.origin}: unknown section; {hint}")

    def with_flags(self, section: str, **flags: object) -> "Settings":
        """Put command-line flags on top; a flag that is None was not given."""
        given = {f"{section}.{key}": Entry(value, "flag") for key, value in flags.items() if value is not None}
        return Settings({**self.entries, **given})

    def plain(self, section: str) -> dict[str, Any]:
        """Nested plain dictionary of one section."""
        tree: dict[str, Any] = {}
        for key, entry in self.entries.items():
            names = _split(key)
            if names[0] != section:
                continue
            node = tree
            for name in names[1:-1]:
                node = node.setdefault(name, {})
            node[names[-1]] = entry.value
        return tree

    def section(self, name: str, struct: type[T]) -> T:
        """Decode one section by its owner's struct.

        A check of the struct's own, in ``__post_init__``, raises ``ValueError("key: expected …, found …")``.

        Raises
        ------
        ConfigError
            Naming the key, where it was set, what was expected and what was found.
        """
        plain = self.plain(name)
        try:
            return msgspec.convert(plain, struct, strict=False)
        except msgspec.ValidationError as error:
            raise ConfigError(self._explain(name, str(error), struct.__struct_fields__)) from None

    def _explain(self, section: str, message: str, names: Sequence[str]) -> str:
        reason, _, path = message.partition(" - at `$.")
        unknown = re.search(r"unknown field `(.+?)`", reason)
        own = re.match(r"(\w+): (.+)", reason)
        last = unknown[1] if unknown else own[1] if own else ""
        key = ".".join(part for part in (section, path.rstrip("`"), last) if part)
        name, _, place = key.partition("[")  # of a list's item
        hits = [entry for each, entry in self.entries.items() if each == name or each.startswith(f"{name}.")]
        told = f"{name} in {hits[0].origin}" if hits else name
        if unknown:
            near = difflib.get_close_matches(last, names, 1)
            return f"{told}: unknown key{f', did you mean {near[0]}?' if near else ''}"
        if own:
            return f"{told}: {own[2]}"
        reason = reason[0].lower() + reason[1:]
        for library, plain in _PLAIN_WORDS:
            reason = re.sub(library, plain, reason)
        if hits:
            value, item = hits[0].value, re.match(r"\d+", place)
            secret = not SECRET.isdisjoint(name.split("."))
            reason += f", found {'a text' if secret else repr(value[int(item[0])] if item else value)}"
        return f"{told}: {reason}"


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _flatten(tree: Mapping[str, Any], origin: str, prefix: str = "") -> dict[str, Entry]:
    flat: dict[str, Entry] = {}
    for key, value in tree.items():
        name = f"{prefix}{_quoted(key)}"
        if isinstance(value, dict):
            flat.update(_flatten(value, origin, f"{name}."))
        elif not prefix:
            raise ConfigError(f"{origin}: {key} stands outside any section; expected [section] {key} = …")
        else:
            flat[name] = Entry(value, origin)
    return flat


def _value(text: str) -> Any:
    """Read a value as TOML would, and as a plain string where TOML would not.

    >>> _value("3"), _value("true"), _value("BTC-USD")
    (3, True, 'BTC-USD')
    """
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'


def _split(key: str) -> list[str]:
    """Split a dotted key; quoted parts may hold dots and asterisks."""
    return [a or b for a, b in re.findall(r'"([^"]*)"|([^."]+)', key)]
