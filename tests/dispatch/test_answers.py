"""What went wrong is said in a few words, with the moment to come back and no part of an address."""

import socket
import time
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest
import requests

from support import receivers
from support.receivers import (
    Act,
    MailReceiver,
    WebReceiver,
    accept_and_reset,
    answer,
    cut_off,
    hang,
    reset_after,
    reset_before,
)
from tapewatch.alert import Letter
from tapewatch.dispatch.channel import Channel
from tapewatch.dispatch.config import ChannelConfig
from tapewatch.dispatch.retry import Receipt

LETTER = Letter("key", "subject", "text", "markdown", "<p>html</p>")
TELEGRAM = "tgram://123456:abcdefg/-100123"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
CLOSED = "connection closed before it answered"
DATE = "Mon, 23 Nov 2026 09:00:00 GMT"


def send(url: str, timeout_s: float = 20.0) -> Receipt:
    return Channel.open(ChannelConfig("x", url=url), {}).send(LETTER, None, timeout_s)


def mailto(receiver: MailReceiver, rest: str = "") -> str:
    return f"mailto://{receiver.host}/?from=a@example.org&to=b@example.org{rest}"


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


class TestHttp:
    @pytest.mark.parametrize(
        ("status", "outcome", "permanent"),
        [
            (400, "HTTP 400", True),
            (401, "HTTP 401: it does not let us in", True),
            (403, "HTTP 403: it does not let us in", True),
            (404, "HTTP 404: it knows no such address", True),
            (408, "HTTP 408", False),
            (410, "HTTP 410: it knows no such address", True),
            (413, "HTTP 413: the message is too long for it", True),
            (425, "HTTP 425", False),
            (429, "HTTP 429", False),
            (500, "HTTP 500", False),
            (503, "HTTP 503", False),
        ],
    )
    def test_refusals(self, web: WebReceiver, status: int, outcome: str, permanent: bool) -> None:
        web.then(answer(status))
        assert send(f"json://{web.host}/") == Receipt(accepted=False, outcome=outcome, permanent=permanent)

    @pytest.mark.parametrize("url", ["json://{}/", SLACK, TELEGRAM])
    def test_each_service_says_when_to_come_back(self, web: WebReceiver, url: str) -> None:
        web.then(answer(429, retry_after="30"))
        found = send(url.format(web.host))
        assert found == Receipt(accepted=False, outcome="HTTP 429: try again in 30 s", retry_after_s=30.0)

    @pytest.mark.parametrize(
        ("said", "seconds"),
        [
            ("0.5", 0.5),
            (" 120 ", 120.0),
            ("0", 0.0),
            (format_datetime(parsedate_to_datetime(DATE).replace(minute=2), usegmt=True), 120.0),
            (format_datetime(parsedate_to_datetime(DATE).replace(hour=8), usegmt=True), 0.0),
            ("soon", None),
            ("-5", None),
            ("inf", None),
            ("9" * 30, None),
            ("Mon, 99 Nov 2026 09:00:00 GMT", None),
        ],
    )
    def test_moments_to_come_back(self, web: WebReceiver, said: str, seconds: float | None) -> None:
        web.then(answer(503, retry_after=said, Date=DATE))
        assert send(f"json://{web.host}/").retry_after_s == seconds

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"parameters": 3}', b'{"parameters": {}}', b"\xff{"])
    def test_an_answer_that_is_none_of_telegrams(self, web: WebReceiver, body: bytes) -> None:
        web.then(answer(429, body=body))
        assert send(TELEGRAM) == Receipt(accepted=False, outcome="HTTP 429")

    @pytest.mark.parametrize("url", ["json://{}/", TELEGRAM, SLACK])
    def test_nobody_is_followed_elsewhere(self, web: WebReceiver, url: str) -> None:
        with receivers.web() as elsewhere:
            for status in (301, 302, 307):
                web.then(answer(status, Location=f"http://{elsewhere.host}/"))
                found = send(url.format(web.host))
                assert found == Receipt(False, f"HTTP {status}: it sends us elsewhere", permanent=True)
            assert elsewhere.requests == []

    @pytest.mark.parametrize("act", [reset_before, reset_after, accept_and_reset, cut_off])
    def test_broken_connections(self, web: WebReceiver, act: Any) -> None:
        web.then(act())
        assert send(f"json://{web.host}/") == Receipt(accepted=False, outcome=CLOSED)
        assert len(web.accepted) == (act in (accept_and_reset, cut_off))

    def test_silence(self, web: WebReceiver) -> None:
        web.then(hang())
        assert send(f"json://{web.host}/", 0.3) == Receipt(accepted=False, outcome="no answer within 0.3 s")

    def test_nobody_there(self) -> None:
        assert send(f"json://127.0.0.1:{free_port()}/").outcome == "connection refused"

    def test_no_such_name(self) -> None:
        assert send("json://nowhere.invalid/").outcome == "nobody knows the name of its server"

    def test_no_tls(self, web: WebReceiver) -> None:
        assert send(f"jsons://{web.host}/").outcome == "no TLS connection"

    def test_a_proxy_that_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", f"http://user:hush@127.0.0.1:{free_port()}")
        monkeypatch.setenv("no_proxy", "")
        assert send("json://example.org/").outcome == "the proxy does not answer"

    def test_a_refusal_with_status_200_is_one(self, web: WebReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
        from apprise.plugins.slack import NotifySlack

        monkeypatch.setattr(NotifySlack, "api_url", f"http://{web.host}/api/{{}}")
        web.then(answer(200, body=b'{"ok": false, "error": "invalid_auth"}'))
        assert send("slack://xoxb-1234-1234-abcdef/#general").outcome == "it did not take the message"

    def test_a_plugin_that_waits_by_itself_says_for_what(self, web: WebReceiver) -> None:
        # Discord's waits until the given second has come, and sends once more.
        reset = str(int(time.time()) + 2)
        web.then(answer(429, retry_after="2", X_RateLimit_Remaining="0", X_RateLimit_Reset=reset))
        channel = Channel.open(ChannelConfig("x", url="discord://123/token"), {})
        assert channel.send(LETTER, None, 0.3) == Receipt(False, "HTTP 429: try again in 2 s", retry_after_s=2.0)
        assert channel.send(LETTER, None, 20.0).accepted
        assert len(web.requests) == 2

    def test_a_plugin_that_stumbles_stops_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        channel = Channel.open(ChannelConfig("x", url="json://localhost"), {})

        def stumble(**_: object) -> bool:
            raise KeyError("hush")

        monkeypatch.setattr(channel._plugin, "notify", stumble)
        assert channel.send(LETTER, None, 20.0).outcome == "it could not be sent (KeyError)"


class TestMail:
    @pytest.mark.parametrize(
        ("status", "outcome", "permanent"),
        [
            (450, "SMTP 450: not now", False),
            (550, "SMTP 550: refused", True),
            (530, "SMTP 530: it does not let us in", True),
        ],
    )
    def test_refusals(self, mail: MailReceiver, status: int, outcome: str, permanent: bool) -> None:
        mail.then(answer(status))
        assert send(mailto(mail)) == Receipt(accepted=False, outcome=outcome, permanent=permanent)
        assert mail.messages == []

    def test_of_two_refusals_the_one_that_may_pass_counts(self, mail: MailReceiver) -> None:
        mail.then(answer(550), answer(450))
        assert send(mailto(mail, "&cc=c@example.org")).outcome == "SMTP 450: not now"

    @pytest.mark.parametrize("act", [reset_before, reset_after, accept_and_reset])
    def test_broken_connections(self, mail: MailReceiver, act: Any) -> None:
        mail.then(act())
        assert send(mailto(mail)) == Receipt(accepted=False, outcome=CLOSED)
        assert len(mail.messages) == (act is accept_and_reset)

    def test_silence(self, mail: MailReceiver) -> None:
        mail.then(hang())
        assert send(mailto(mail), 0.5) == Receipt(accepted=False, outcome="no answer within 0.5 s")

    def test_nobody_there(self) -> None:
        port = free_port()
        assert send(f"mailto://127.0.0.1:{port}/?from=a@example.org").outcome == "connection refused"

    def test_no_encryption_there(self, mail: MailReceiver) -> None:
        address = mailto(mail).replace("mailto", "mailtos")
        found = send(address)
        assert found == Receipt(accepted=False, outcome="it offers no STARTTLS, or no login", permanent=True)
        assert send(f"{address}&mode=ssl").outcome == "no TLS connection"

    def test_a_login(self) -> None:
        with receivers.mail({"ann": "right"}) as mail:
            address = f"mailto://ann:{{}}@{mail.host}/?from=a@example.org&to=b@example.org"
            found = send(address.format("wrong"))
            assert found == Receipt(accepted=False, outcome="SMTP 535: it does not let us in", permanent=True)
            assert send(address.format("right")).accepted


def test_requests_of_others_are_left_alone(web: WebReceiver) -> None:
    web.then(answer(302, Location=f"http://{web.host}/there"))
    assert requests.get(f"http://{web.host}/here", timeout=20).status_code == 200
    assert [request.path for request in web.requests] == ["/here", "/there"]


@pytest.mark.parametrize(
    "act", [answer(200), answer(401), answer(429, retry_after="1"), answer(302, Location="http://hush/"), reset_after()]
)
@pytest.mark.parametrize(
    "url",
    [
        "json://hush-user:hush-pass@{}/hush-path?+hush-header=hush-value&-hush=hush&:hush=hush",
        "form://hush-user:hush-pass@{}/hush-path",
        "mmost://hush-user@{}/hushhushhushhush",
        "discord://hush/hush-token",
        "tgram://123456:hush-token/-100123",
    ],
)
def test_no_log_and_no_outcome_tells_a_secret(
    web: WebReceiver, url: str, act: Act, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    caplog.set_level(1, logger="urllib3")
    web.then(act)
    channel = Channel.open(ChannelConfig("x", url=url.format(web.host)), {})
    receipt = channel.send(LETTER, b"\x89PNG", 20.0)
    assert web.requests
    told = f"{caplog.text} {capfd.readouterr()} {receipt} {channel!r}"
    assert "hush" not in told


@pytest.mark.parametrize("status", [250, 450, 550])
def test_no_log_of_a_mail_tells_a_secret(
    status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1)
    with receivers.mail({"hush": "hush-pass"}) as mail:
        mail.then(answer(status, body=b"hush is not here"))
        receipt = send(f"mailto://hush:hush-pass@{mail.host}/?from=hush@example.org&to=hush@example.org")
        assert mail.attempts == 1
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # that is the server's
    assert "hush" not in f"{ours} {capfd.readouterr()} {receipt}"
