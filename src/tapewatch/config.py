"""Settings from several places become one value per key, and it is known where each came from.

Defaults < ``tapewatch.toml`` < ``TAPEWATCH_SECTION__KEY`` < flags. This file merges plain sections;
each section is decoded by the struct that its owner declares (see `Settings.section`).
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from tapewatch.errors import ConfigError

PREFIX = "TAPEWATCH_"

SECRET = {"options", "option_files", "channels", "heartbeat_url", "heartbeat_url_file", "heartbeat_url_env"}
"""Sections whose values may be passwords, or addresses with tokens: of what was found there the kind alone is told."""

WRONG_MAX = 50
"""Wrong values of a section that are told at once."""

_KINDS: dict[type, str] = {list: "a list", dict: "a section"}

_PLAIN_WORDS = (
    (r", got `[^`]+`", ""),  # what was found is said as it stands
    (r"object missing required field `(.+)`", r"expected \1"),
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
                shown = (
                    repr(key + equals) if re.fullmatch(r"[\w.-]*", key) else "neither"
                )  # what follows may be a secret
                raise ConfigError(f"--set expects section.key=value, found {shown}")
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

    def place(self, key: str) -> str:
        """Name a key and where it was set: "capture.symbols in tapewatch.toml"."""
        origins = [entry.origin for entry in self._under(key)]
        return f"{key} in {origins[0]}" if origins else key

    def section(self, name: str, struct: type[T]) -> T:
        """Decode one section by its owner's struct.

        A check of the struct's own, in ``__post_init__``, raises ``ValueError("key: expected …, found …")``.

        Raises
        ------
        ConfigError
            Naming the key, where it was set, what was expected and what was found.
        """
        made, wrong = self._decode(name, struct)
        if made is None:
            raise ConfigError("\n".join(wrong))  # without its cause, which may quote a secret
        return made

    def _decode(self, name: str, struct: type[T]) -> tuple[T | None, list[str]]:
        # The decoding library stops at the first wrong value: it is left out and the rest is looked at again, so that
        # a person reads of all of them at once.
        rest = Settings(dict(self.entries))
        wrong: list[str] = []
        while len(wrong) < WRONG_MAX:
            try:
                made = msgspec.convert(rest.plain(name), struct, strict=False)
            except msgspec.ValidationError as error:
                message = str(error)
            else:
                return (None if wrong else made), wrong
            wrong.append(rest._explain(name, message, struct))
            if not rest._leave_out(name, message):
                break
        return None, wrong

    def _leave_out(self, section: str, message: str) -> bool:
        # Tells whether there was something to leave out.
        named = _named(section, message)
        name, _, place = named.key.partition("[")
        item = re.match(r"(\d+)\](?:\.(\w+))?", place)
        value = self.entries[name].value if name in self.entries else None
        if item is None or not isinstance(value, list):
            gone = [each for each in self.entries if each == name or each.startswith(f"{name}.")]
            for each in gone:
                del self.entries[each]
            return bool(gone)
        at, field = int(item[1]), item[2]
        items = list(value)
        if isinstance(items[at], dict) and field in items[at]:
            items[at] = {key: each for key, each in items[at].items() if key != field}
        else:
            del items[at]
        self.entries[name] = self.entries[name]._replace(value=items)
        return True

    def _under(self, key: str) -> list[Entry]:
        return [entry for each, entry in self.entries.items() if each == key or each.startswith(f"{key}.")]

    def _explain(self, section: str, message: str, struct: type[msgspec.Struct]) -> str:
        key, reason, path, unknown, own = _named(section, message)
        name, _, place = key.partition("[")  # of a list's item
        told, hits = self.place(name), self._under(name)
        if own:
            return f"{told}: {own}"
        value = hits[0].value if hits else None
        item = re.match(r"(\d+)\](?:\.(\w+))?", place)
        if item and isinstance(value, list):
            value = value[int(item[1])]
            if isinstance(value, dict):
                told += f": {_called(name, int(item[1]), value)}"
                if item[2] in value:
                    value, told = value[item[2]], f"{told}: {item[2]}"
        owner, kind = _declared(struct, re.findall(r"[A-Za-z_]\w*", path))
        if unknown:
            near = difflib.get_close_matches(unknown, owner.__struct_fields__, 1)
            return f"{told}: unknown key{f', did you mean {near[0]}?' if near else ''}"
        if reason.startswith("Invalid enum value"):
            reason = f"expected one of {', '.join(_choices(kind))}"
        reason = reason[0].lower() + reason[1:]
        for library, plain in _PLAIN_WORDS:
            reason = re.sub(library, plain, reason)
        if hits:
            known = item is not None and isinstance(value, int | float)  # of a table whose keys are known
            secret = not known and not SECRET.isdisjoint(name.split("."))
            reason += f", found {_KINDS.get(type(value), 'a text') if secret else repr(value)}"
        return f"{told}: {reason}"


class _Named(NamedTuple):
    # What the decoding library complains of: dotted key, its sentence, the path in it; which key is unknown, or what a
    # struct's own check says.
    key: str
    reason: str
    path: str
    unknown: str
    own: str


def _named(section: str, message: str) -> _Named:
    reason, _, path = message.partition(" - at `$.")
    unknown = re.search(r"unknown field `(.+?)`", reason)
    own = re.match(r"(\w+): (.+)", reason)
    last = unknown[1] if unknown else own[1] if own else ""
    key = ".".join(part for part in (section, path.rstrip("`"), last) if part)
    return _Named(key, reason, path, unknown[1] if unknown else "", own[2] if own else "")


def _called(name: str, index: int, item: dict[str, Any]) -> str:
    """Name one of a list's tables by its own name, or by its number: ``channel "phone"``, ``channel 2``."""
    noun = name.rpartition(".")[2].removesuffix("s")
    own = item.get("name")
    return f'{noun} "{own}"' if isinstance(own, str) and re.fullmatch(r"[\w-]{1,40}", own) else f"{noun} {index + 1}"


def _declared(struct: type[msgspec.Struct], names: Iterable[str]) -> tuple[type[msgspec.Struct], Any]:
    """Follow a path through structs: the last of them, and the type of what the path names."""
    kind: Any = struct
    for name in names:
        kind = get_type_hints(struct).get(name)
        inner = [each for each in _nested(kind) if isinstance(each, type) and issubclass(each, msgspec.Struct)]
        struct = inner[0] if inner else struct
    return struct, kind


def _choices(kind: Any) -> tuple[Any, ...]:
    return next((get_args(each) for each in _nested(kind) if get_origin(each) is Literal), ())


def _nested(kind: Any) -> Iterator[Any]:
    yield kind
    for each in get_args(kind):
        yield from _nested(each)


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
