"""Where people are told, and of what: the section ``alerts``, each channel with its address or where to find that.

In: settings. Out: frozen values. An address is a secret: nothing here tells one, in no error and no repr.
"""

import difflib
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from tapewatch.errors import ConfigError
from tapewatch.model import Severity
from tapewatch.words import RULES, rule_of

NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")

Patterns = tuple[Annotated[str, Meta(min_length=1)], ...]
Budget = Annotated[int, Meta(ge=1, le=1_000_000)]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Seconds = Annotated[float, Meta(ge=0, le=604_800)]
Size = Annotated[float, Meta(ge=1, le=1_000_000)]


DASHBOARD_URL: Final = "http://127.0.0.1:8710"
"""Where the dashboard is, unless a person says otherwise."""


ADDRESS: Final = ("url", "url_file", "url_env")
"""Where an address may stand: itself, in a file, in an environment variable."""


class ChannelConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One of ``alerts.channels``: whom to tell, and what of.

    Attributes
    ----------
    severity
        The lowest that it takes.
    rules, symbols, venues
        Patterns with ``*`` and ``?``; empty: all.
    chart
        None: where its service takes pictures, but not to a webhook, whose reader is a program.
    budget_per_hour, cool_down_s, min_size
        None: as in the section.
    """

    name: Annotated[str, Meta(description="What to call it: letters, digits, - and _")]
    url: Annotated[str | None, Meta(description="Address as Apprise writes it, e.g. mailto://… or slack://…")] = None
    url_file: Annotated[str | None, Meta(description="File that holds the address")] = None
    url_env: Annotated[str | None, Meta(description="Environment variable that holds the address")] = None
    severity: Annotated[Severity, Meta(description="Lowest severity that it takes: high, medium or low")] = "high"
    rules: Annotated[Patterns, Meta(description="Rules that it takes, with * and ?; none: all")] = ()
    symbols: Annotated[Patterns, Meta(description="Symbols that it takes, with * and ?; none: all")] = ()
    venues: Annotated[Patterns, Meta(description="Venues that it takes, with * and ?; none: all")] = ()
    ends: Annotated[bool, Meta(description="Tell ends, too")] = False
    chart: Annotated[bool | None, Meta(description="Send a picture along; default: where the service takes one")] = None
    budget_per_hour: Annotated[Budget | None, Meta(description="Its own budget")] = None
    cool_down_s: Annotated[Seconds | None, Meta(description="Its own cool-down")] = None
    min_size: Annotated[Size | None, Meta(description="Its own least size")] = None

    def __post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None:
            raise ValueError("channels: name: expected 1 to 40 letters, digits, - or _")
        given = {name: getattr(self, name) for name in ADDRESS}
        if sum(map(bool, given.values())) != 1:
            found = " and ".join(name for name in ADDRESS if given[name])
            raise self._wrong(f"expected one of url, url_file and url_env, found {found or 'none'}")
        if (problem := _slip(given)) is not None:
            raise self._wrong(problem)
        for pattern in self.rules:
            if (problem := unknown_rule(pattern)) is not None:
                raise self._wrong(f"rules: {problem}")
        force_setattr(self, "rules", tuple(rule_of(pattern) for pattern in self.rules))

    def address(self, environ: Mapping[str, str]) -> str:
        """Find its address.

        Raises
        ------
        ConfigError
            The file cannot be read, the variable is not set, or there is no address in it.
        """
        given = {name: getattr(self, name) for name in ADDRESS}
        return _found(given, self.called, environ)

    @property
    def source(self) -> str:
        """Which key says where the address is."""
        return next(name for name in ADDRESS if getattr(self, name))

    @property
    def called(self) -> str:
        """What errors call it."""
        return f'channel "{self.name}"'

    @property
    def takes(self) -> str:
        """Say what is routed to it, for a person.

        Examples
        --------
        >>> ChannelConfig("phone", url="json://localhost", severity="medium", symbols=("BTC-*",)).takes
        'Medium severity and above, all rules, symbols BTC-*'
        """
        severity = (
            "High severity only" if self.severity == "high" else f"{self.severity.capitalize()} severity and above"
        )
        rules = ", ".join(RULES.get(pattern, pattern) for pattern in self.rules)
        parts = [severity, rules or "all rules"]
        parts += [
            f"{what} {', '.join(names)}"
            for what, names in (("symbols", self.symbols), ("venues", self.venues))
            if names
        ]
        parts += ["ends, too"] if self.ends else []
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"ChannelConfig(name={self.name!r}, takes={self.takes!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name), ("takes", self.takes)]

    def _wrong(self, text: str) -> ValueError:
        return ValueError(f"channels: {self.called}: {text}")


class AlertsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``alerts``."""

    channels: Annotated[tuple[ChannelConfig, ...], Meta(description="Whom to tell; none: nobody")] = ()
    dashboard_url: Annotated[
        str, Meta(description="Where the dashboard is, for links in messages; empty: no links")
    ] = DASHBOARD_URL
    templates: Annotated[str | None, Meta(description="Folder of templates that replace ours")] = None
    min_size: Annotated[
        Size | None,
        Meta(description="Times its limit that a move must reach to be told alone; default: each rule's own, 2 or 1"),
    ] = None
    group_s: Annotated[
        Seconds, Meta(description="Least time between two messages on one event, of a whole budget; 0: each alone")
    ] = 10.0
    follow_up_max_s: Annotated[Seconds, Meta(description="The same when the budget is spent")] = 300.0
    cool_down_s: Annotated[
        Seconds, Meta(description="How long a rule is muted on a symbol and in a direction after it was told")
    ] = 3_600.0
    mute_halving_s: Annotated[
        Seconds,
        Meta(description="In so long halves what a move must exceed to break through; at first twice as large"),
    ] = 180.0
    budget_per_hour: Annotated[
        Budget, Meta(description="Messages of a channel in an hour, from which they become rare; a million is no limit")
    ] = 10
    unbudgeted_step: Annotated[
        int, Meta(ge=1, le=64, description="Moves of so many doublings of their limit are told however short it is")
    ] = 3
    keep_trying_s: Annotated[
        float, Meta(gt=0, le=2_592_000, description="How long a message is tried that nobody takes")
    ] = 86_400.0
    health_port: Annotated[
        Port | None, Meta(description="Port of its /healthz, /readyz and /metrics; default 8714, or the next free one")
    ] = None
    heartbeat_url: Annotated[
        str | None, Meta(description="Called every minute while trades get through; none: nothing is called")
    ] = None
    heartbeat_url_file: Annotated[str | None, Meta(description="File that holds that address")] = None
    heartbeat_url_env: Annotated[str | None, Meta(description="Environment variable that holds it")] = None
    ill_after_s: Annotated[
        float, Meta(ge=30, le=86_400, description="Channels are told when no trades got through for so long")
    ] = 120.0
    late_s: Annotated[Seconds, Meta(description="What is older when it is first looked at goes into a digest")] = (
        3_600.0
    )

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.channels]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'channels: expected each name once, found "{name}" {names.count(name)} times')
        if self.dashboard_url and not _is_web_address(self.dashboard_url):
            raise ValueError("dashboard_url: expected an address like http://127.0.0.1:8710, or none")
        if self.templates is not None and not Path(self.templates).is_dir():
            raise ValueError(f"templates: expected a folder, found none at {self.templates!r}")
        given = self._heartbeat
        if len([name for name in ADDRESS if given[name]]) > 1:
            raise ValueError("heartbeat_url: expected one of heartbeat_url, heartbeat_url_file and heartbeat_url_env")
        if (problem := _slip(given)) is not None:
            raise ValueError(f"heartbeat_{problem}")
        if given["url"] and not _is_web_address(given["url"], login=True):
            raise ValueError("heartbeat_url: expected an address like https://hc-ping.com/…")

    @property
    def tells(self) -> bool:
        """Whether there is anybody to tell anything."""
        return bool(self.channels) or any(self._heartbeat.values())

    def heartbeat(self, environ: Mapping[str, str]) -> str | None:
        """Find the address that is called while trades get through; None: there is none.

        Raises
        ------
        ConfigError
            The file cannot be read, the variable is not set, or there is no address in it.
        """
        if not any(self._heartbeat.values()):
            return None
        address = _found(self._heartbeat, "alerts: heartbeat", environ)
        if not _is_web_address(address, login=True):
            raise ConfigError("alerts: heartbeat_url: expected an address like https://hc-ping.com/…")
        return address

    @property
    def _heartbeat(self) -> dict[str, str | None]:
        return {name: getattr(self, f"heartbeat_{name}") for name in ADDRESS}

    def __repr__(self) -> str:
        return f"AlertsConfig(channels={self.channels!r}, templates={self.templates!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("channels", self.channels), ("templates", self.templates)]


def unknown_rule(pattern: str) -> str | None:
    """Tell what is wrong with a pattern, or a rule's name on the screen, that matches no rule; None: it matches one."""
    if any(fnmatchcase(rule, rule_of(pattern)) for rule in RULES):
        return None
    names = {each.lower(): each for each in (*RULES.values(), *RULES)}
    near = difflib.get_close_matches(pattern.lower(), names, 1)
    hint = f"did you mean {names[near[0]]}?" if near else f"expected some of {', '.join(RULES)}"
    return f"{pattern!r} matches no rule; {hint}"


def _slip(given: Mapping[str, str | None]) -> str | None:
    # A slip may put the address itself there; it is not told.
    if "://" in (given["url_file"] or ""):
        return "url_file: expected the path of a file, found an address"
    if given["url_env"] and re.fullmatch(r"[A-Za-z_]\w*", given["url_env"]) is None:
        return "url_env: expected the name of an environment variable"
    return None


def _found(given: Mapping[str, str | None], called: str, environ: Mapping[str, str]) -> str:
    problem, text = "", given["url"] or ""
    if given["url_env"]:
        text = environ.get(given["url_env"], "")
        problem = "" if text else f"url_env: {given['url_env']} is not set"
    elif given["url_file"]:
        try:
            text = Path(given["url_file"]).read_text(encoding="utf-8")
        except OSError as error:
            problem = f"url_file: {given['url_file']} cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            problem = f"url_file: {given['url_file']} is no text"
    text = text.strip()
    if not problem and len(text.splitlines()) != 1:
        source = next(name for name in ADDRESS if given[name])
        problem = f"{source}: expected one line with one address, found {len(text.splitlines())}"
    if problem:  # outside of the handlers above: what they caught may quote the file
        raise ConfigError(f"{called}: {problem}")
    return text


def _is_web_address(text: str, *, login: bool = False) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    secret = parts.username or parts.password
    return parts.scheme in ("http", "https") and bool(parts.hostname) and (login or not secret)
