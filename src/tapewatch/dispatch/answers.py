"""What services answer: HTTP responses, mail replies and broken connections become receipts, in words without secrets.

While an `Attempt` is set for the thread that sends, `NotingAdapter` notes what ``requests`` is told. It stands in the
place of the adapter that every new session of ``requests`` mounts; a request that is no attempt of ours passes through.
"""

import json
import re
import smtplib
import socket
import ssl
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Event
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter

from tapewatch.alert import Letter
from tapewatch.dispatch.retry import Receipt
from tapewatch.figures import duration

MEANINGS: Final[dict[int, str]] = {
    401: "it does not let us in",
    403: "it does not let us in",
    404: "it knows no such address",
    410: "it knows no such address",
    413: "the message is too long for it",
    530: "it does not let us in",
    535: "it does not let us in",
}
"""What a person can do something about, by status of HTTP or reply of SMTP."""

TEMPORARY: Final = (408, 425, 429)
"""Refusals of HTTP, of those below 500, that trying again may mend."""


class Attempt:
    """One attempt to send a letter while it runs, and what was noted of it.

    Attributes
    ----------
    fault
        The last answer that was none to be glad of.
    receipt
        How it ended; set before `done`.
    overdue
        How often somebody waited in vain for its end.
    """

    def __init__(self, letter: Letter, timeout_s: float) -> None:
        self.letter = letter
        self.timeout_s = timeout_s
        self.fault: Receipt | None = None
        self.receipt: Receipt | None = None
        self.done = Event()
        self.overdue = 0

    def note(self, error: Exception) -> None:
        """Take down why a server of mail, or a connection, did not do what it was asked for."""
        self.fault = _refused_mail(error) or _broken(error, self.timeout_s)

    @property
    def accepted(self) -> bool:
        """Whether it has ended well."""
        return self.receipt is not None and self.receipt.accepted


running: Final[ContextVar[Attempt | None]] = ContextVar("running", default=None)
"""The attempt that this thread makes."""


class NotingAdapter(HTTPAdapter):
    """Notes what a service answers to a request of ours; any other request of this process is left alone."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request, and note what comes of it."""
        attempt = running.get()
        if attempt is None:
            return super().send(request, *args, **options)
        try:
            response = super().send(request, *args, **options)
            response.content  # noqa: B018  # read here, so that a connection that breaks meanwhile is noted, too
        except requests.RequestException as error:
            attempt.note(error)
            raise
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            attempt.fault = _refused(response)
        return response


def no_answer(timeout_s: float) -> Receipt:
    """Say that nothing came for so long."""
    return Receipt(accepted=False, outcome=f"no answer within {timeout_s:g} s")


def _refused(response: requests.Response) -> Receipt:
    status, asked_s = response.status_code, _asked(response)
    meaning = f"try again in {duration(asked_s)}" if asked_s is not None else MEANINGS.get(status, "")
    if status < HTTPStatus.BAD_REQUEST:
        meaning = "it sends us elsewhere"
    permanent = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in TEMPORARY
    outcome = f"HTTP {status}: {meaning}" if meaning else f"HTTP {status}"
    return Receipt(accepted=False, outcome=outcome, retry_after_s=asked_s, permanent=permanent)


def _asked(response: requests.Response) -> float | None:
    asked: Any = response.headers.get("Retry-After", "").strip()
    try:
        if not asked:  # Telegram says it in its answer
            asked = json.loads(response.content)["parameters"]["retry_after"]
        if re.fullmatch(r"\d{1,9}(\.\d*)?", str(asked)):
            return float(asked)
        moment, now = parsedate_to_datetime(asked), parsedate_to_datetime(response.headers["Date"])
        return max(0.0, (moment - now).total_seconds())  # by its own clock, from which ours may differ
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _refused_mail(error: Exception) -> Receipt | None:
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Receipt(accepted=False, outcome="it offers no STARTTLS, or no login", permanent=True)
    code = getattr(error, "smtp_code", 0)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = min(code for code, _ in error.recipients.values())
    if code < 400:  # noqa: PLR2004  # RFC 5321, 4.2.1: 4yz is not now, 5yz is never
        return None
    permanent = code >= 500  # noqa: PLR2004
    meaning = MEANINGS.get(code, "refused" if permanent else "not now")
    return Receipt(accepted=False, outcome=f"SMTP {code}: {meaning}", permanent=permanent)


_BREAKS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((ssl.SSLCertVerificationError,), "its certificate is not trusted"),
    ((ssl.SSLError, requests.exceptions.SSLError), "no TLS connection"),
    ((requests.exceptions.ProxyError,), "the proxy does not answer"),
    ((ConnectionRefusedError,), "connection refused"),
    ((socket.gaierror,), "nobody knows the name of its server"),
    (
        (ConnectionError, smtplib.SMTPServerDisconnected, requests.exceptions.ChunkedEncodingError),
        "connection closed before it answered",
    ),
)
"""What a broken connection is called; the first that is found among an error and its causes."""


def _broken(error: BaseException, timeout_s: float) -> Receipt:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(each, TimeoutError | requests.Timeout) for each in chain):
        return no_answer(timeout_s)
    outcomes = (outcome for kinds, outcome in _BREAKS if any(isinstance(each, kinds) for each in chain))
    return Receipt(accepted=False, outcome=next(outcomes, "no connection"))
