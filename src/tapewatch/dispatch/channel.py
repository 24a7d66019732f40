"""A channel is one service that tells people: a letter in, what became of it out. The one file that knows Apprise.

Apprise knows the services, and says whether one took a message, but not why not, or when to come back: `answers` notes
that where its plugins ask ``requests`` and ``smtplib``. Its log is not read: it quotes addresses, and so goes nowhere.
"""

import difflib
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from smtplib import SMTPRecipientsRefused
from threading import Lock, Thread
from typing import Any, Final, Self
from urllib.parse import quote

import apprise
import requests.sessions
from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
from apprise.attachment.memory import AttachMemory
from apprise.plugins.base import NotifyBase, _delivery_memo, _delivery_tracker

from tapewatch.alert import Letter
from tapewatch.dispatch.answers import Attempt, NotingAdapter, no_answer, running
from tapewatch.dispatch.config import ChannelConfig
from tapewatch.dispatch.retry import Receipt
from tapewatch.dispatch.stationery import in_markdown
from tapewatch.errors import ConfigError
from tapewatch.model import Severity

with warnings.catch_warnings():
    # It looks for a module that later versions of Python do without.
    warnings.simplefilter("ignore", DeprecationWarning)
    import apprise.plugins.email.base
    from apprise.plugins.email.smtp import SMTP_EXCEPTIONS, AppriseSMTPController

WEBHOOKS: Final = ("Form", "JSON", "XML")
"""Services whose reader is a program: plain text, no picture unless asked for, and a key in the headers."""

UNLIMITED: Final = (*WEBHOOKS, "E-Mail")
"""Services that take a message of any length in one piece; for others it is split."""

MARKDOWN_READERS: Final = ("Mattermost", "Zulip")
"""Services that read all text as Markdown, though Apprise calls it text."""

UNESCAPED: Final = ("Google Chat", "Slack")
"""Services whose markup knows no backslash, though Apprise leaves those of Markdown in it."""

BOT_ONLY: Final = ("Mattermost", "Slack")
"""Services that take pictures from a bot, not through an incoming webhook."""

COLOURS: Final[dict[Severity | None, NotifyType]] = {
    "high": NotifyType.FAILURE,
    "medium": NotifyType.WARNING,
    "low": NotifyType.INFO,
    None: NotifyType.INFO,
}

OVERDUE_MOST: Final = 10
"""So often an attempt that does not end is waited for; then it is left to itself, and the next one is made."""

REMEMBERED: Final = 1_000
"""Letters of a channel of which is remembered how far they have come; a forgotten one starts anew."""

ACCEPTED: Final = Receipt(accepted=True, outcome="accepted")

ASSET: Final = AppriseAsset(
    app_id="tapewatch",
    app_desc="tapewatch",
    image_url_mask="",  # no pictures of others in our messages
    image_url_logo="",
    http_redirects=False,
    storage_mode="memory",
    async_mode=False,
)

_plugins: Final[Any] = apprise.plugins  # its functions carry no types
_mail: Final[Any] = apprise.plugins.email.base
_make_msgid, _convert = _mail.make_msgid, _mail.convert_between


class _Progress:
    """What the attempts at one letter have in common."""

    def __init__(self) -> None:
        self.accepted: set[Any] = set()  # receivers and pieces that are done: Apprise skips them
        self.memo: dict[Any, Any] = {}  # what a plugin keeps from one attempt to the next, e.g. a key of its own
        self.attempt: Attempt | None = None


class Channel:
    """One place where people are told; made by `open`.

    A repetition can be known by the letter's key: it is the ``Idempotency-Key`` of a webhook (json, xml, form), the
    ``Message-ID`` of a mail, and the deduplication key of PagerDuty, GoAlert and FireHydrant, unless the address has
    its own. Other services have nothing of the kind, Slack and Telegram among them.

    Attributes
    ----------
    name, service
        What a person calls it, and what its service is called, e.g. "Slack" or "E-Mail".
    takes_charts
        Whether a picture is to be sent along.
    """

    def __init__(self, name: str, plugin: Any, *, takes_charts: bool) -> None:
        self.name = name
        self.service = str(plugin.service_name)
        self.takes_charts = takes_charts
        self._plugin = plugin
        self._format = _format_of(plugin)
        if self.service in UNESCAPED:
            plugin.dialect_convert = _without_backslashes(plugin.dialect_convert)
        self._headers = dict(getattr(plugin, "headers", None) or {})
        self._keyed = getattr(plugin, "dedup", "") is None
        self._progress: dict[str, _Progress] = {}
        self._accepted: dict[str, None] = {}
        self._last: Attempt | None = None
        self._lock = Lock()

    @classmethod
    def open(cls, config: ChannelConfig, environ: Mapping[str, str], where: str = "alerts.channels") -> Self:
        """Find a channel's address and the service that it means; nothing is sent.

        Parameters
        ----------
        environ
            Where a variable that holds the address is looked up.
        where
            Key and origin of the setting, for errors.

        Raises
        ------
        ConfigError
            There is no address, no service understands it, or the service takes no pictures and one is asked for.
        """
        try:
            plugin, problem = _plugin(config.address(environ))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        if plugin is None:
            raise ConfigError(f"{where}: {config.called}: {config.source}: {problem}")
        service = plugin.service_name
        able = plugin.attachment_support and (service not in BOT_ONLY or getattr(plugin, "mode", "") == "bot")
        if config.chart and not able:
            raise ConfigError(f"{where}: {config.called}: chart: {service} takes no pictures at this address")
        wanted = service not in WEBHOOKS if config.chart is None else config.chart
        return cls(config.name, plugin, takes_charts=able and wanted)

    def send(self, letter: Letter, chart: bytes | None, timeout_s: float, severity: Severity | None = None) -> Receipt:
        """Send a letter, and wait for the service's answer; one at a time, from any thread.

        An attempt that outlasts its time goes on by itself. The next call with the same letter waits for it instead
        of sending the letter once more, and another letter is not sent meanwhile. A letter that was accepted is not
        sent again: who asks once more could not store the answer. Where a service has several receivers, the letter
        is tried again only with those that have not accepted it.

        Parameters
        ----------
        chart
            A PNG; left out where the channel takes none.
        timeout_s
            Longest wait for the answer, seconds; with several receivers, the time that their service wants between
            two of them comes on top.
        severity
            Colours the message where the service has colours.
        """
        patience_s = timeout_s + self._plugin.request_rate_per_sec * (len(self._plugin) - 1)
        with self._lock:
            if letter.key in self._accepted:
                return ACCEPTED
            progress = self._progress.setdefault(letter.key, _Progress())
            attempt = progress.attempt
            if attempt is None or attempt.overdue >= OVERDUE_MOST or (attempt.done.is_set() and not attempt.accepted):
                last = self._last
                if last is not None and not last.done.is_set() and last.overdue < OVERDUE_MOST:
                    last.overdue += 1
                    return Receipt(accepted=False, outcome="it has not answered to an earlier message yet")
                attempt = progress.attempt = self._last = Attempt(letter, timeout_s)
                call = (attempt, progress, chart, COLOURS[severity])
                Thread(target=self._deliver, args=call, name=f"tell {self.name}", daemon=True).start()
            if not attempt.done.wait(patience_s) or attempt.receipt is None:
                attempt.overdue += 1
                return attempt.fault or no_answer(patience_s)  # some plugins wait by themselves where they are asked to
            progress.attempt = None
            if attempt.accepted:
                del self._progress[letter.key]
                self._accepted[letter.key] = None
            for remembered in (self._progress, self._accepted):
                if len(remembered) > REMEMBERED:
                    del remembered[next(iter(remembered))]
            return attempt.receipt

    def __repr__(self) -> str:
        return f"Channel(name={self.name!r}, service={self.service!r})"

    def _deliver(self, attempt: Attempt, progress: _Progress, chart: bytes | None, colour: NotifyType) -> None:
        # Runs in a thread of its own, whose context nobody shares.
        running.set(attempt)
        _delivery_tracker.set(progress.accepted)
        _delivery_memo.set(progress.memo)
        outcome = "it did not take the message"
        try:
            self._prepare(attempt)
            title, body = self._words(attempt.letter)
            accepted = self._plugin.notify(
                body=body,
                title=title,
                notify_type=colour,
                body_format=self._format,
                attach=[_picture(chart)] if chart and self.takes_charts else None,
            )
        except Exception as error:  # noqa: BLE001  # whatever a plugin raises, its text may quote the address
            accepted, outcome = False, f"it could not be sent ({type(error).__name__})"
        fault = attempt.fault or Receipt(accepted=False, outcome=outcome)
        attempt.receipt = ACCEPTED if accepted else fault
        attempt.done.set()

    def _prepare(self, attempt: Attempt) -> None:
        plugin = self._plugin
        plugin.socket_connect_timeout = plugin.socket_read_timeout = attempt.timeout_s
        plugin._last_io_datetime = None  # noqa: SLF001  # it shall not wait before the first request: our budget does
        if self.service in WEBHOOKS:
            own = {name.lower() for name in self._headers}
            key = {} if "idempotency-key" in own else {"Idempotency-Key": attempt.letter.key}
            plugin.headers = {**self._headers, **key}
        if self._keyed:
            plugin.dedup = attempt.letter.key

    def _words(self, letter: Letter) -> tuple[str, str]:
        # A subject for which the service has no place goes into the text; Apprise would put it there unescaped.
        form, longest = self._format, self._plugin.title_maxlen
        markdown = form == NotifyFormat.MARKDOWN or self.service in MARKDOWN_READERS
        title, body = letter.subject, letter.text
        if form == NotifyFormat.HTML:
            # Telegram has a few tags, and no tables: for a page of HTML the shorter text is the better start.
            chat = self.service == "Telegram"
            body = _convert(NotifyFormat.MARKDOWN, form, letter.markdown) if chat else letter.html
            bold = f"<b>{escape(title, quote=False)}</b><br>"
        elif markdown:
            body, bold = letter.markdown, f"**{in_markdown(title)}**\n\n"
        else:
            bold = f"{title}\n"
        if self.service == "Discord":  # puts it into the text itself
            title = in_markdown(title)
        if len(title) > longest:
            title, body = f"{title[: longest - 1]}…" if longest > 0 else "", bold + body
        lines, most = body.splitlines(), self._plugin.body_max_line_count
        if 0 < most < len(lines):
            body = "\n".join([*lines[: most - 1], f"… and {len(lines) - most + 1} more lines"])
        return title, body


def _plugin(address: str) -> tuple[NotifyBase | None, str]:
    # Lets no exception out: what Apprise raises quotes the address.
    found = re.match(r"([A-Za-z0-9]{1,32})://", address)
    if found is None:
        return None, "expected an address like mailto://… or slack://…, found none that begins so"
    scheme, known, plugin = found[1].lower(), _plugins.N_MGR, None
    with _listening() as complaints:
        try:
            parts = _plugins.url_to_dict(address)
            if parts:
                whole = "upstream" if known[parts["schema"]].service_name in UNLIMITED else "split"
                ours = {"retry": 0, "wait": 0, "store": "no", "redirect": "no", "optional": "no"}
                plugin = Apprise.instantiate(
                    {"overflow": whole, **parts, **ours}, asset=ASSET, suppress_exceptions=False
                )
        except Exception:  # noqa: BLE001  # said below, without its text
            plugin = None
    if plugin is not None and not complaints:
        return plugin, ""
    if scheme in known.schemas():
        return None, _expected(scheme, known[scheme])
    if scheme in ("http", "https"):
        return None, f"no service has such an address; a webhook of your own is json{'s' * (scheme == 'https')}://…"
    near = difflib.get_close_matches(scheme, known.schemas(), 1)
    return None, f"unknown scheme {scheme!r}{f'; did you mean {near[0]}?' if near else ''}"


def _expected(scheme: str, service: Any) -> str:
    if not service.enabled:
        needed = service.requirements.get("packages_required") or "what this machine lacks"
        return f"{service.service_name} needs {needed if isinstance(needed, str) else ', '.join(needed)}"
    form = max(map(str, service.templates), key=len, default="{schema}://").replace("{schema}", scheme)
    return f"{service.service_name} does not understand all of it; expected {form}, see {service.setup_url}"


def _format_of(plugin: Any) -> NotifyFormat:
    # What it takes by itself, or what its address asks for. Discord reads all text as Markdown.
    wanted = NotifyFormat.MARKDOWN if plugin.service_name == "Discord" else None
    form: NotifyFormat = plugin.resolve_format(wanted)
    return form


def _without_backslashes(convert: Callable[..., str]) -> Callable[..., str]:
    def converted(*args: Any, **options: Any) -> str:
        text = re.sub(r"\\&(?!(amp|lt|gt);)", "&amp;", convert(*args, **options))
        return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)

    return converted


def _picture(chart: bytes) -> AttachMemory:
    made: Any = AttachMemory
    picture: AttachMemory = made(chart, name="chart.png", mimetype="image/png")
    return picture


class _MailServer(AppriseSMTPController):
    """Notes what a mail server replies."""

    def __enter__(self) -> AppriseSMTPController:
        try:
            return super().__enter__()
        except SMTP_EXCEPTIONS as error:
            if attempt := running.get():
                attempt.note(error)
            raise

    def sendmail(self, from_addr: str, to_addrs: list[str], message: str) -> bool:
        server: Any = self._socket
        try:
            refused = server.sendmail(from_addr, to_addrs, message)
        except SMTP_EXCEPTIONS as error:
            if attempt := running.get():
                attempt.note(error)
            return False
        if refused and (attempt := running.get()):
            attempt.note(SMTPRecipientsRefused(refused))
        return not refused


def _message_id(domain: str) -> Any:
    attempt = running.get()
    return f"<{quote(attempt.letter.key, safe='')}@{domain}>" if attempt else _make_msgid(domain=domain)


def _plain_part(source: NotifyFormat, target: NotifyFormat, content: str) -> Any:
    # The plain part of a mail is our own text, not what can be made of the HTML.
    attempt = running.get()
    if attempt and (source, target) == (NotifyFormat.HTML, NotifyFormat.TEXT):
        return attempt.letter.text
    return _convert(source, target, content)


_heard: ContextVar[list[int] | None] = ContextVar("heard", default=None)


class _Ears(logging.Handler):
    """Hears that Apprise complains while an address is read; the words, which may quote it, go nowhere."""

    def emit(self, record: logging.LogRecord) -> None:
        complaints = _heard.get()
        if complaints is not None and record.levelno in (logging.WARNING, logging.ERROR):
            complaints.append(record.levelno)


@contextmanager
def _listening() -> Iterator[list[int]]:
    complaints: list[int] = []
    token = _heard.set(complaints)
    try:
        yield complaints
    finally:
        _heard.reset(token)


# Apprise logs addresses, at any level, and urllib3 does where headers are broken.
_log = logging.getLogger("apprise")
_log.handlers[:] = [_Ears()]
_log.setLevel(logging.WARNING)
_log.propagate = False
logging.getLogger("urllib3.connectionpool").addFilter(lambda _: running.get() is None)

_sessions: Final[Any] = requests.sessions
_sessions.HTTPAdapter = NotingAdapter
_mail.AppriseSMTPController = _MailServer
_mail.make_msgid = _message_id
_mail.convert_between = _plain_part
