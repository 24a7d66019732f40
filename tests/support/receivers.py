"""Receivers of alerts on loopback: a mail server, and a web server that plays a webhook, Slack and Telegram.

Both keep what came, with its moment, and do on request what receivers do on bad days, one `Act` per message.
"""

import asyncio
import contextlib
import email
import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram

LONGEST_S = 30
"""How long anything is waited for before a test fails."""


@dataclass
class Act:
    """What a receiver does with one message; made by the functions below."""

    what: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    released: threading.Event = field(default_factory=threading.Event)


def answer(status: int, *, retry_after: str | None = None, body: bytes | None = None, **headers: str) -> Act:
    """Answer with a status; Telegram says in its body, as it does, when to come back."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Act("answer", status, named | ({} if retry_after is None else {"Retry-After": retry_after}), body)


def hang() -> Act:
    """Take the message and say nothing until `Act.released` is set; then answer that it is well."""
    return Act("hang")


def drip(status: int = 200) -> Act:
    """Take the message and answer one letter at a time until `Act.released` is set: no single wait is ever long."""
    return Act("drip", status)


def cut_off() -> Act:
    """Accept the message, and close the connection in the middle of the answer."""
    return answer(200, Content_Length="100")


def reset_before() -> Act:
    """Break the connection without reading the message."""
    return Act("reset before")


def reset_after() -> Act:
    """Read the message, forget it, and break the connection."""
    return Act("reset after")


def accept_and_reset() -> Act:
    """Accept the message, and break the connection before the sender can learn of it."""
    return Act("accept and reset")


@dataclass(frozen=True)
class Request:
    """What came, and when: ns of the monotonic clock."""

    method: str
    path: str
    headers: dict[str, str]  # names in small letters
    body: bytes
    at_ns: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def parts(self) -> dict[str, bytes]:
        """Parts of a form, by name."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + self.body, policy=modern)
        leaves = _leaves(message)
        return {str(each.get_param("name", header="content-disposition")): _payload(each) for each in leaves}


class _Script:
    """What is to be done with the next messages, and whatever hangs."""

    def __init__(self) -> None:
        self._acts: queue.SimpleQueue[Act] = queue.SimpleQueue()
        self._begun: list[Act] = []
        self.changed = threading.Condition()

    def then(self, *acts: Act) -> None:
        """Do this with the next messages, one after the other; after that all is well again."""
        for act in acts:
            self._acts.put(act)

    def next(self) -> Act:
        try:
            act = self._acts.get_nowait()
        except queue.Empty:
            act = Act("answer")
        self._begun.append(act)
        return act

    def release(self) -> None:
        """Let go of whatever hangs."""
        for act in self._begun:
            act.released.set()

    def wait_until(self, there: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(there, LONGEST_S), "it did not come"


class WebReceiver(_Script):
    """A web server on loopback.

    ``/services/…`` is an incoming webhook of Slack, ``/bot<token>/…`` the Bot API of Telegram, and any other path a
    webhook.

    Attributes
    ----------
    requests, accepted
        All that came; and what the receiver has, whether the sender knows or not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.accepted: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def wait_for(self, count: int) -> list[Request]:
        """Wait until so many requests have come."""
        self.wait_until(lambda: len(self.requests) >= count)
        return self.requests

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join(LONGEST_S)
        self._server.server_close()  # waits for the threads of its connections

    def note(self, request: Request, *, accepted: bool) -> None:
        with self.changed:
            self.requests.append(request)
            if accepted:
                self.accepted.append(request)
            self.changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: senders that go away are what the tests are about."""


def _handler(receiver: WebReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            act, came = receiver.next(), time.monotonic_ns()
            if act.what == "reset before":
                receiver.note(Request(self.command, self.path, {}, b"", came), accepted=False)
                self._break_off()
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            well = act.status < 300 and act.what != "reset after"
            receiver.note(Request(self.command, self.path, headers, body, came), accepted=well)
            if act.what == "hang":
                act.released.wait(LONGEST_S)
            elif act.what == "drip":
                self.wfile.write(f"HTTP/1.0 {act.status} ".encode())
                while not act.released.wait(0.02):
                    self.wfile.write(b"O")
                self.wfile.write(b"K\r\n\r\n")
                return
            elif act.what.endswith(("reset", "after")):
                self._break_off()
                return
            self._answer(act)

        do_GET = do_POST = _take  # noqa: N815  # the library's names

        def _answer(self, act: Act) -> None:
            body, kind = _said(self.path, act)
            self.send_response_only(act.status)
            for name, value in act.headers.items():
                if not (name == "Retry-After" and self.path.startswith("/bot")):
                    self.send_header(name, value)
            self.send_header("Content-Type", kind)
            if "Content-Length" not in act.headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _break_off(self) -> None:
            # Without lingering, the end of a connection is a reset, and not a polite farewell.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the library
            pass

    return Handler


def _said(path: str, act: Act) -> tuple[bytes, str]:
    if act.body is not None:
        return act.body, "application/json"
    if path.startswith("/services/"):
        return (b"ok" if act.status < 300 else b"no_service"), "text/plain"
    if not path.startswith("/bot"):
        return b"{}", "application/json"
    if act.status < 300:
        return b'{"ok": true, "result": {"message_id": 1}}', "application/json"
    said: dict[str, Any] = {"ok": False, "error_code": act.status, "description": "refused"}
    if "Retry-After" in act.headers:
        said["parameters"] = {"retry_after": int(act.headers["Retry-After"])}
    return json.dumps(said).encode(), "application/json"


class MailReceiver(_Script):
    """A mail server on loopback.

    Attributes
    ----------
    messages
        Those that it has accepted.
    attempts
        How many came as far as their first recipient.
    logins
        User and password of whom it lets in; none: it knows no login.
    """

    def __init__(self, logins: dict[str, str] | None = None) -> None:
        super().__init__()
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.attempts = 0
        self._logins = logins or {}
        options = {"authenticator": self._let_in, "auth_require_tls": False} if logins else {}
        self._controller = _Controller(self, server_hostname="localhost", **options)
        self._controller.start()
        self.host = f"127.0.0.1:{self._controller.port}"

    def close(self) -> None:
        self.release()
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802  # the names of the library's hooks
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.attempts += 1
        act = self.next()
        if act.what == "reset before":
            _abort(server)
        if act.status >= 400:
            return f"{act.status} {act.body.decode() if act.body else 'refused'}"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.append(act)  # type: ignore[arg-type]  # for the data that follow
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        act: Any = envelope.rcpt_options[-1]
        if act.what != "reset after":
            with self.changed:
                content = envelope.content
                assert isinstance(content, bytes)
                self.messages.append(email.message_from_bytes(content.replace(b"\r\n", b"\n"), policy=modern))
                self.recipients.append(list(envelope.rcpt_tos))
                self.changed.notify_all()
        if act.what == "hang":
            await asyncio.get_running_loop().run_in_executor(None, act.released.wait, LONGEST_S)
        elif act.what.endswith(("reset", "after")):
            _abort(server)
        return "250 accepted"

    def _let_in(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, login: Any) -> AuthResult:
        assert isinstance(login, LoginPassword)
        known = self._logins.get(login.login.decode()) == login.password.decode()
        return AuthResult(success=known, handled=known)


class _Controller(Controller):
    """Listens at a port that nobody else can take in between."""

    def __init__(self, handler: Any, **options: Any) -> None:
        self._bound = socket.socket()
        self._bound.bind(("127.0.0.1", 0))
        super().__init__(handler, hostname="127.0.0.1", port=self._bound.getsockname()[1], **options)

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._bound)


def _abort(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    return (part for part in message.walk() if not part.is_multipart())


def _payload(part: EmailMessage) -> bytes:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def part_of(message: EmailMessage, kind: str) -> Any:
    """Content of a mail's only part of a kind, e.g. ``text/html``."""
    (part,) = [part for part in _leaves(message) if part.get_content_type() == kind]
    return part.get_content()


@contextlib.contextmanager
def web() -> Iterator[WebReceiver]:
    """Run a web server."""
    receiver = WebReceiver()
    try:
        yield receiver
    finally:
        receiver.close()


@contextlib.contextmanager
def mail(logins: dict[str, str] | None = None) -> Iterator[MailReceiver]:
    """Run a mail server."""
    receiver = MailReceiver(logins)
    try:
        yield receiver
    finally:
        receiver.close()


def lead_here(receiver: WebReceiver, patch: pytest.MonkeyPatch) -> None:
    """Let the plugins of Slack, Telegram and Discord ask a receiver: the hosts that they ask are fixed."""
    patch.setattr(NotifySlack, "webhook_url", f"http://{receiver.host}/services")
    patch.setattr(NotifyTelegram, "notify_url", f"http://{receiver.host}/bot")
    patch.setattr(NotifyDiscord, "notify_url", f"http://{receiver.host}/discord")
