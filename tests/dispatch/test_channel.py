"""A letter through Apprise to real receivers: whole, readable, with its picture, and known when it is repeated."""

import threading
import traceback
from email.headerregistry import Address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import pytest
from apprise.plugins import pagerduty

from support.receivers import MailReceiver, WebReceiver, accept_and_reset, answer, drip, part_of
from tapewatch.alert import Letter
from tapewatch.dispatch.channel import OVERDUE_MOST, Channel
from tapewatch.dispatch.config import ChannelConfig
from tapewatch.errors import ConfigError

NAME = "A_B*C<&>-USD"
"""A symbol that every markup would like to read."""

LETTER = Letter(
    key="key-1",
    subject=f"▼ {NAME} fell 7.06 % [a](b) `q`",
    text=f"{NAME} fell 7.06 % in 6 s\nhttp://127.0.0.1:8710/?anomaly=1&x=2",
    markdown=r"◆ **A\_B\*C\<&\>-USD** fell 7.06 % in 6 s" + "\n\n- [dashboard](http://127.0.0.1:8710/?anomaly=1&x=2)",
    html='<p><b>A_B*C&lt;&amp;&gt;-USD</b> fell 7.06 %</p><p><a href="http://127.0.0.1:8710/?x=2">dashboard</a></p>',
)
OTHER = Letter("key-2", "Other", "other", "other", "<p>other</p>")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TELEGRAM = "tgram://123456:abcdefg_hij/-100123"
LONG_S = 20.0


def channel(url: str, **fields: Any) -> Channel:
    return Channel.open(ChannelConfig("x", url=url, **fields), {})


def mail_to(receiver: MailReceiver, to: str = "ann@example.org") -> Channel:
    return channel(f"mailto://{receiver.host}/?from=tape@example.org&to={to}")


class TestMail:
    def test_text_html_and_picture_arrive_as_they_are(self, mail: MailReceiver) -> None:
        assert mail_to(mail).send(LETTER, PNG, LONG_S).accepted
        (message,) = mail.messages
        assert message["Subject"] == LETTER.subject
        assert message["To"].addresses == (Address(addr_spec="ann@example.org"),)
        assert part_of(message, "text/plain").rstrip("\n") == LETTER.text
        assert part_of(message, "text/html").rstrip("\n") == LETTER.html
        assert part_of(message, "image/png") == PNG
        (picture,) = message.iter_attachments()
        assert picture.get_filename() == "chart.png"

    def test_without_a_picture_it_is_text_and_html(self, mail: MailReceiver) -> None:
        assert mail_to(mail).send(LETTER, None, LONG_S).accepted
        assert mail.messages[0].get_content_type() == "multipart/alternative"

    def test_a_long_letter_is_one_mail(self, mail: MailReceiver) -> None:
        lines = "".join(f"<p>line {number}</p>" for number in range(5_000))
        assert mail_to(mail).send(Letter("k", "s", "t", "m", lines), None, LONG_S).accepted
        (message,) = mail.messages
        assert part_of(message, "text/html").rstrip("\n") == lines

    def test_text_alone_where_the_address_asks_for_it(self, mail: MailReceiver) -> None:
        plain = channel(f"mailto://{mail.host}/?from=a@example.org&to=b@example.org&format=text")
        assert plain.send(LETTER, None, LONG_S).accepted
        assert mail.messages[0].get_content().rstrip("\n") == LETTER.text

    def test_one_mail_comes_at_once_after_another(self, mail: MailReceiver) -> None:
        # Apprise would wait 5.5 s between two of them, longer than these may take.
        own = mail_to(mail)
        assert own.send(LETTER, None, 4.0).accepted
        assert own.send(OTHER, None, 4.0).accepted


class TestSlack:
    def test_what_is_written_can_be_read(self, web: WebReceiver) -> None:
        assert channel(SLACK).send(LETTER, PNG, LONG_S, "high").accepted
        (request,) = web.accepted
        assert request.path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
        (shown,) = request.json["attachments"]
        assert shown["title"] == "▼ A_B*C&lt;&amp;&gt;-USD fell 7.06 % [a](b) `q`"
        assert shown["text"] == (
            "◆ *A_B*C&lt;&amp;&gt;-USD* fell 7.06 % in 6 s\n\n- <http://127.0.0.1:8710/?anomaly=1&amp;x=2|dashboard>"
        )
        assert "apprise" not in str(request.json)

    def test_an_escaped_ampersand_is_one(self, web: WebReceiver) -> None:
        assert channel(SLACK).send(Letter("k", "s", "t", r"A\&B \~ \\ &lt; C", "h"), None, LONG_S).accepted
        assert web.accepted[0].json["attachments"][0]["text"] == r"A&amp;B ~ \ &amp;lt; C"

    def test_a_bot_takes_pictures_and_a_webhook_none(self) -> None:
        assert channel("slack://xoxb-1234-1234-abcdef/#general").takes_charts
        assert not channel(SLACK).takes_charts
        with pytest.raises(
            ConfigError, match=r'^alerts\.channels: channel "x": chart: Slack takes no pictures at this'
        ):
            channel(SLACK, chart=True)


class TestTelegram:
    def test_words_stand_with_the_picture(self, web: WebReceiver) -> None:
        own = channel(TELEGRAM)
        assert own.takes_charts
        assert own.send(LETTER, PNG, LONG_S).accepted
        (request,) = web.accepted
        assert request.path == "/bot123456:abcdefg_hij/sendPhoto"
        assert request.parts["photo"] == PNG
        assert request.parts["parse_mode"] == b"HTML"
        assert request.parts["caption"].decode().splitlines() == [
            "<b>▼ A_B*C&lt;&amp;&gt;-USD fell 7.06 % [a](b) `q`</b>",
            "◆ <b>A_B*C&lt;&amp;&gt;-USD</b> fell 7.06 % in 6 s",
            '- <a href="http://127.0.0.1:8710/?anomaly=1&amp;x=2">dashboard</a>',
        ]

    def test_words_alone(self, web: WebReceiver) -> None:
        assert channel(TELEGRAM).send(LETTER, None, LONG_S).accepted
        (request,) = web.accepted
        assert request.path == "/bot123456:abcdefg_hij/sendMessage"
        assert request.json["text"].startswith("<b>▼ A_B*C&lt;&amp;&gt;-USD fell 7.06 % [a](b) `q`</b>")

    def test_what_has_arrived_is_not_sent_again(self, web: WebReceiver) -> None:
        long = Letter("k", "s", "t", "word " * 300, "h")
        own = channel(TELEGRAM)
        web.then(answer(200), answer(500))
        assert not own.send(long, PNG, LONG_S).accepted
        assert own.send(long, PNG, LONG_S).accepted
        assert [request.path.rpartition("/")[2] for request in web.requests] == [
            "sendMessage",
            "sendPhoto",
            "sendPhoto",
        ]


class TestWebhooks:
    def test_json(self, web: WebReceiver) -> None:
        own = channel(f"json://{web.host}/hook?-q=1&+X-Mine=yes&:team=a")
        assert not own.takes_charts
        assert own.send(LETTER, PNG, LONG_S, "medium").accepted
        (request,) = web.accepted
        assert request.path == "/hook?q=1"
        assert request.headers["x-mine"] == "yes"
        assert request.headers["idempotency-key"] == "key-1"
        assert {**request.json, "version": ""} == {
            "version": "",
            "title": LETTER.subject,
            "message": LETTER.text,
            "attachments": [],
            "type": "warning",
            "team": "a",
        }

    def test_a_picture_where_it_is_asked_for(self, web: WebReceiver) -> None:
        own = channel(f"json://{web.host}/", chart=True)
        assert own.takes_charts
        assert own.send(LETTER, PNG, LONG_S).accepted
        assert [each["filename"] for each in web.accepted[0].json["attachments"]] == ["chart.png"]

    def test_xml_and_form(self, web: WebReceiver) -> None:
        assert channel(f"xml://{web.host}/").send(LETTER, None, LONG_S).accepted
        assert channel(f"form://{web.host}/").send(LETTER, None, LONG_S).accepted
        xml, form = web.accepted
        assert [each.text for each in ET.fromstring(xml.body).iter("Message")] == [LETTER.text]  # noqa: S314  # ours
        assert parse_qs(form.body.decode())["message"] == [LETTER.text]
        assert xml.headers["idempotency-key"] == form.headers["idempotency-key"] == "key-1"

    def test_html_where_the_address_asks_for_it(self, web: WebReceiver) -> None:
        assert channel(f"json://{web.host}/?format=html").send(LETTER, None, LONG_S).accepted
        assert web.accepted[0].json["message"] == LETTER.html

    def test_a_persons_own_key_stays(self, web: WebReceiver) -> None:
        assert channel(f"json://{web.host}/?+idempotency-key=mine").send(LETTER, None, LONG_S).accepted
        assert web.accepted[0].headers["idempotency-key"] == "mine"


class TestOtherServices:
    def test_discord_reads_markdown(self, web: WebReceiver) -> None:
        assert channel("discord://123/token").send(LETTER, None, LONG_S).accepted
        title, body = web.accepted[0].json["content"].split("\r\n")
        assert title == r"▼ A_B\*C\<&\>-USD fell 7.06 % \[a\](b) \`q\`"
        assert body == LETTER.markdown

    def test_mattermost_reads_markdown(self, web: WebReceiver) -> None:
        assert channel(f"mmost://{web.host}/abcdefghijklmnopqrst").send(LETTER, None, LONG_S).accepted
        said = web.accepted[0].json["text"]
        assert said == r"**▼ A_B\*C\<&\>-USD fell 7.06 % \[a\](b) \`q\`**" + f"\n\n{LETTER.markdown}"

    def test_pagerduty_knows_a_repetition(self, web: WebReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", f"http://{web.host}/pager")
        own = channel("pagerduty://abcdefg@hijklmnop")
        web.then(accept_and_reset())
        assert not own.send(LETTER, None, LONG_S).accepted
        assert own.send(LETTER, None, LONG_S).accepted
        assert own.send(OTHER, None, LONG_S).accepted
        assert [request.json["dedup_key"] for request in web.requests] == ["key-1", "key-1", "key-2"]

    @pytest.mark.parametrize("url", ["discord://123/token", TELEGRAM, SLACK])
    def test_a_long_letter_is_split_and_nothing_of_it_is_lost(self, web: WebReceiver, url: str) -> None:
        lines = [f"row {number} of the digest" for number in range(2_500)]
        text = "\n\n".join(lines)
        assert channel(url).send(Letter("k", "s", text, text, text), None, 60.0).accepted
        assert len(web.accepted) > 1
        arrived = " ".join(" ".join(str(request.json).split("\\n")) for request in web.accepted)
        missing = [number for number in range(2_500) if f"row {number} of" not in arrived.replace("\\r", "")]
        assert len(missing) <= len(web.accepted), "a row may stand on two pages, no more"

    def test_a_subject_that_is_too_long_stands_in_the_text(self, web: WebReceiver) -> None:
        subject = "x" * 300
        assert channel("discord://123/token").send(Letter("k", subject, "t", "m", "h"), None, LONG_S).accepted
        said = web.accepted[0].json["content"]
        assert f"**{subject}**\n\nm" in said
        assert said.startswith("xxx")
        assert "x…\r\n" in said

    def test_a_service_with_few_lines_is_told_how_many_are_missing(self) -> None:
        own = channel("json://localhost")
        own._plugin.body_max_line_count = 3
        _, body = own._words(Letter("k", "s", "a\nb\nc\nd", "m", "h"))
        assert body == "a\nb\n… and 2 more lines"


class TestRepetitions:
    def test_a_webhook_is_given_the_same_key(self, web: WebReceiver) -> None:
        own = channel(f"json://{web.host}/")
        web.then(accept_and_reset())
        assert not own.send(LETTER, None, LONG_S).accepted
        assert own.send(LETTER, None, LONG_S).accepted
        assert own.send(OTHER, None, LONG_S).accepted
        assert [request.headers["idempotency-key"] for request in web.accepted] == ["key-1", "key-1", "key-2"]

    def test_a_mail_has_the_same_id(self, mail: MailReceiver) -> None:
        own = mail_to(mail)
        mail.then(accept_and_reset())
        assert not own.send(LETTER, None, LONG_S).accepted
        assert own.send(LETTER, None, LONG_S).accepted
        assert own.send(OTHER, None, LONG_S).accepted
        first, again, other = (message["Message-ID"] for message in mail.messages)
        assert first == again == "<key-1@127.0.0.1>"
        assert other == "<key-2@127.0.0.1>"
        assert all(len(message.get_all("Message-ID")) == 1 for message in mail.messages)

    def test_whatever_the_key_its_id_is_one(self, mail: MailReceiver) -> None:
        assert mail_to(mail).send(Letter("a b>\r\nc/é", "s", "t", "m", "h"), None, LONG_S).accepted
        assert mail.messages[0]["Message-ID"] == "<a%20b%3E%0D%0Ac%2F%C3%A9@127.0.0.1>"

    def test_what_was_accepted_is_not_sent_again(self, web: WebReceiver) -> None:
        own = channel(f"json://{web.host}/")
        assert own.send(LETTER, None, LONG_S).accepted
        assert own.send(LETTER, None, LONG_S).accepted, "who asks could not store the answer"
        assert own.send(OTHER, None, LONG_S).accepted
        assert [request.headers["idempotency-key"] for request in web.accepted] == ["key-1", "key-2"]

    def test_who_has_it_does_not_get_it_again(self, mail: MailReceiver) -> None:
        own = mail_to(mail, "ann@example.org,ben@example.org")
        mail.then(answer(250), answer(450))
        assert own.send(LETTER, None, LONG_S).outcome == "SMTP 450: not now"
        assert own.send(LETTER, None, LONG_S).accepted
        assert mail.recipients == [["ann@example.org"], ["ben@example.org"]]
        assert own.send(OTHER, None, LONG_S).accepted
        assert len(mail.recipients) == 4

    def test_any_thread_may_send(self, web: WebReceiver) -> None:
        own = channel(f"json://{web.host}/")
        receipts = []
        letters = [Letter(str(number), "s", str(number), "m", "h") for number in range(8)]
        threads = [
            threading.Thread(target=lambda letter=each: receipts.append(own.send(letter, None, LONG_S)))  # type: ignore[misc]
            for each in letters
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(receipt.accepted for receipt in receipts)
        assert sorted(request.json["message"] for request in web.accepted) == [letter.text for letter in letters]
        assert all(request.headers["idempotency-key"] == request.json["message"] for request in web.accepted)


class TestSlowAnswers:
    def test_an_attempt_that_outlasts_its_time_is_waited_for_and_not_repeated(self, web: WebReceiver) -> None:
        own, slow = channel(f"json://{web.host}/"), drip()
        web.then(slow)
        assert own.send(LETTER, None, 0.3).outcome == "no answer within 0.3 s"
        assert own.send(OTHER, None, 0.3).outcome == "it has not answered to an earlier message yet"
        slow.released.set()
        assert own.send(LETTER, None, LONG_S).accepted
        assert own.send(OTHER, None, LONG_S).accepted
        assert [request.headers["idempotency-key"] for request in web.accepted] == ["key-1", "key-2"]

    def test_one_that_never_ends_does_not_silence_the_channel(self, web: WebReceiver) -> None:
        own = channel(f"json://{web.host}/")
        web.then(drip())
        for _ in range(OVERDUE_MOST):
            assert not own.send(LETTER, None, 0.1).accepted
        assert own.send(OTHER, None, LONG_S).accepted

    def test_a_failure_that_came_late_is_tried_again(self, web: WebReceiver) -> None:
        own, slow = channel(f"json://{web.host}/"), drip(500)
        web.then(slow)
        assert not own.send(LETTER, None, 0.3).accepted
        slow.released.set()
        assert own._last is not None
        assert own._last.done.wait(LONG_S)
        assert own.send(LETTER, None, LONG_S).accepted
        assert len(web.requests) == 2


class TestOpening:
    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("slak://hush/hush/hush", "unknown scheme 'slak'; did you mean slack?"),
            ("qqqqq://hush", "unknown scheme 'qqqqq'"),
            ("hush", "expected an address like mailto://… or slack://…, found none that begins so"),
            ("https://hush.example/hush", "no service has such an address; a webhook of your own is jsons://…"),
            ("http://hush.example/hush", "no service has such an address; a webhook of your own is json://…"),
            (
                "tgram://hush",
                "Telegram does not understand all of it; expected tgram://{bot_token}/{targets}, see http",
            ),
            ("slack://hush/hush", "Slack does not understand all of it; expected slack://{botname}@{token_a}/"),
            ("mailto://hush:hush@example.org/hush", "E-Mail does not understand all of it; expected mailto://{user}:"),
            ("json://localhost?format=hush", "JSON does not understand all of it; expected json://{user}:{password}@"),
            ("json://localhost?rto=hush", "JSON does not understand all of it"),
            ("json://[hush", "JSON does not understand all of it"),
            ("windows://hush", "Windows Notification needs "),
        ],
    )
    def test_a_wrong_address_is_refused_without_telling_it(
        self, url: str, said: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(1)
        with pytest.raises(ConfigError) as caught:
            Channel.open(ChannelConfig("phone", url=url), {}, "alerts.channels in tapewatch.toml")
        assert str(caught.value).startswith(f'alerts.channels in tapewatch.toml: channel "phone": url: {said}')
        told = f"{''.join(traceback.format_exception(caught.value))} {caplog.text} {capfd.readouterr()}"
        told = told.replace(repr(url), "")
        assert "hush" not in told

    def test_a_missing_secret_is_named(self) -> None:
        with pytest.raises(ConfigError, match=r'^there: channel "x": url_env: HOOK is not set$'):
            Channel.open(ChannelConfig("x", url_env="HOOK"), {}, "there")

    def test_an_address_in_a_file(self, web: WebReceiver, tmp_path: Path) -> None:
        (tmp_path / "hook").write_text(f"json://{web.host}/secret\n")
        own = Channel.open(ChannelConfig("x", url_file=str(tmp_path / "hook")), {})
        assert own.send(LETTER, None, LONG_S).accepted

    def test_the_address_that_a_service_itself_gives_out(self, web: WebReceiver) -> None:
        native = SLACK.replace("slack://", "https://hooks.slack.com/services/")
        own = channel(native)
        assert own.service == "Slack"
        assert own.send(LETTER, None, LONG_S).accepted
        assert len(web.accepted) == 1

    @pytest.mark.parametrize(
        ("url", "service", "charts"),
        [
            (SLACK, "Slack", False),
            (TELEGRAM, "Telegram", True),
            ("mailto://a:b@example.org", "E-Mail", True),
            ("json://localhost", "JSON", False),
            ("discord://1/a", "Discord", True),
            ("ntfy://topic", "ntfy", True),
        ],
    )
    def test_it_says_what_it_is(self, url: str, service: str, charts: bool) -> None:
        own = channel(url)
        assert (own.name, own.service, own.takes_charts) == ("x", service, charts)
        assert repr(own) == f"Channel(name='x', service='{service}')"

    def test_a_picture_can_be_declined(self, web: WebReceiver) -> None:
        own = channel(TELEGRAM, chart=False)
        assert not own.takes_charts
        assert own.send(LETTER, PNG, LONG_S).accepted
        assert web.accepted[0].path.endswith("/sendMessage")
