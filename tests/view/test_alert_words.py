import pytest
from msgspec.structs import replace

from support.telling import DESK, PHONE
from support.views import NOW, anomaly
from tapewatch.alert import Alert, Letter, Silence
from tapewatch.model import NS
from tapewatch.store.records import Post
from tapewatch.view.alert_words import (
    delivery_words,
    occasion_words,
    silence_words,
    standing_words,
    told_words,
    why_words,
)
from tapewatch.view.alerts import AlertLine, ChannelLine, Standing

ALERT = Alert(1, "phone", "opened", NOW, anomaly("a", escalation=2))


def line(**fields):
    sent = ("sent", NOW + 5 * NS) if fields.get("message") else (None, None)
    return AlertLine(replace(ALERT, **fields), NOW, *sent)


@pytest.mark.parametrize(
    ("fields", "told", "why"),
    [
        ({"verdict": "sent", "reason": "in message 3", "message": 3}, "Sent to phone at 21:32", ""),
        (
            {"verdict": "grouped", "reason": "in message 3, about 2 symbols", "message": 3},
            "Sent to phone at 21:32",
            "about 2 symbols",
        ),
        (
            {"verdict": "digest", "reason": "in message 3: the digest of 22:00", "message": 3},
            "Sent to phone in a digest at 21:32",
            "the digest of 22:00",
        ),
        (
            {"verdict": "sent", "reason": "in message 3", "message": 3, "occasion": "escalated"},
            "Sent to phone at 21:32 (4×)",
            "",
        ),
        (
            {"verdict": "cooling", "reason": "muted until 22:31 or a move above 2.10 %: last sent 21:31 at 8.4×"},
            "phone: muted until 22:31 or a move above 2.10 %: last sent 21:31 at 8.4×",
            "until 22:31 or a move above 2.10 %: last sent 21:31 at 8.4×",
        ),
        ({"verdict": "held", "reason": "held back: feed silent"}, "phone: held back: feed silent", "feed silent"),
        (
            {"verdict": "undelivered", "reason": "message 3 was not delivered: HTTP 401", "message": 3},
            "phone: message 3 was not delivered: HTTP 401",
            "HTTP 401",
        ),
        (
            {"reason": "told with its event at 21:33:00"},
            "phone: waiting, told with its event at 21:33:00",
            "told with its event at 21:33:00",
        ),
        ({"verdict": "unrouted", "reason": "low: high alone", "occasion": "ended"}, "phone (ended): not taken", None),
    ],
)
def test_what_became_of_an_alert(fields, told, why):
    assert told_words(line(**fields)) == told
    if why is not None:
        assert why_words(line(**fields)) == why


def test_what_happened():
    assert [occasion_words(replace(ALERT, occasion=each)) for each in ("opened", "escalated", "ended")] == [
        "opened",
        "4×",
        "ended",
    ]


@pytest.mark.parametrize(
    ("since_s", "until_s", "words"),
    [
        (-10, 3_480, "58 min left"),
        (300, 600, "starts in 5 min"),
        (-600, -300, "ended 21:27:48"),
        (-5, 0, "ended 21:32:48"),
    ],
)
def test_how_long_a_silence_holds(since_s, until_s, words):
    assert silence_words(Silence(1, NOW + since_s * NS, NOW + until_s * NS), NOW) == words


@pytest.mark.parametrize(
    ("standing", "tone", "word"),
    [
        (Standing(), "", ""),
        (Standing(channels=(ChannelLine(PHONE),)), "", ""),
        (Standing(channels=(ChannelLine(PHONE),), waiting=3), "", "3 waiting"),
        (Standing(channels=(ChannelLine(DESK), ChannelLine(PHONE)), waiting=3), "bad", "desk fails"),
        (Standing(channels=(ChannelLine(DESK), ChannelLine(replace(DESK, name="x")))), "bad", "2 fail"),
        (Standing(channels=(ChannelLine(DESK),), undelivered=2), "bad", "2 undelivered"),
        (Standing(channels=(ChannelLine(PHONE),), silent_s=41.0), "bad", "not running"),
        (Standing(channels=(ChannelLine(PHONE),), behind=5), "", ""),
    ],
)
def test_what_one_must_know_wherever_one_looks(standing, tone, word):
    assert standing_words(standing)[:2] == (tone, word)


def test_what_nobody_judges_is_counted():
    silent = Standing(channels=(ChannelLine(PHONE),), silent_s=41.0)
    assert standing_words(silent)[2] == "nobody would be told: tapewatch alerts run does it"
    assert standing_words(replace(silent, behind=1))[2] == "1 change not judged yet: tapewatch alerts run does it"


def test_everything_that_is_wrong_is_in_the_longer_words():
    more = standing_words(Standing(channels=(ChannelLine(DESK),), undelivered=2, waiting=1))[2]
    assert more == "nobody took them; try them again; desk accepts nothing; 1 waiting to be sent"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "waiting for its first try"),
        ({"attempts": 2, "next_try_ts": NOW}, "not accepted yet, 2 tries; next 21:32:48"),
        ({"state": "sent", "attempts": 1, "done_ts": NOW}, "accepted 21:32:48, first try"),
        ({"state": "sent", "attempts": 3, "done_ts": NOW}, "accepted 21:32:48, 3 tries"),
        ({"state": "undelivered", "attempts": 1, "done_ts": NOW}, "given up 21:32:48 after 1 try"),
        ({"state": "undelivered", "done_ts": NOW}, "given up 21:32:48, never tried"),
        ({"state": "dismissed", "attempts": 2, "done_ts": NOW}, "given up 21:32:48 after 2 tries, dismissed"),
    ],
)
def test_how_far_a_message_has_come(fields, words):
    post = Post(1, "phone", "symbol", NOW, NOW, Letter("k", "s", "t", "m", "h"))
    assert delivery_words(replace(post, **fields), NOW) == words


def test_on_a_replay_the_times_of_a_message_are_the_tape_s():
    a_year = 365 * 86_400 * NS
    post = Post(1, "phone", "symbol", NOW, NOW + a_year, Letter("k", "s", "t", "m", "h"))
    accepted = replace(post, state="sent", attempts=1, done_ts=NOW + a_year + 3 * NS)
    assert delivery_words(accepted, NOW) == "accepted 21:32:51, first try"
    assert delivery_words(accepted, NOW + 86_400 * NS) == "accepted 10-10 21:32:51, first try"
