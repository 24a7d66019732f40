"""`tapewatch alerts` and `tapewatch verdicts`: the same as on the alerts page, in a terminal and for a pipe."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from support import receivers
from support.receivers import WebReceiver, answer
from support.records import anomaly, change
from tapewatch.alert import Alert, Letter
from tapewatch.cli import main
from tapewatch.model import NS
from tapewatch.store.outbox import Outbox
from tapewatch.store.records import Attempt, ChannelRow, Clock, Commit, Decision, Post
from tapewatch.store.sql import Store

Run = Callable[..., tuple[int, str, str]]

AT = 1_700_000_000 * NS
LETTER = Letter("key", "▼ BTC-USD fell 0.27 %", "from 37,000.50\nhttp://127.0.0.1:8710", "md", "html")
POST = Post(1, "phone", "symbol", AT, AT, LETTER, "high")
PHONE = ChannelRow("phone", "Slack", "High severity only, all rules", "failing", AT, None, "HTTP 500")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "220")

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tapewatch", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


@pytest.fixture
def db(tmp_path: Path) -> str:
    """One alert that was told but not accepted, one that was held back, one that the channel does not take."""
    path = tmp_path / "x.db"
    low = anomaly(3, severity="low", symbol="ETH-USD")
    store = Store.open(path)
    store.commit(Commit(Clock(AT, AT, 0.0), changes=[change(1), change(2), change(3, low)]))
    store.close()
    alerts = [
        Alert(1, "phone", "opened", AT, anomaly(1), None, "in message 1", 1),
        Alert(2, "phone", "escalated", AT + 1, anomaly(2, escalation=2), "cooling", "muted until 23:13"),
        Alert(3, "phone", "opened", AT + 2, low, "unrouted", "low: this channel takes high severity only"),
    ]
    outbox = Outbox.open(path)
    outbox.stand([PHONE], AT)
    outbox.commit(Decision(3, AT, {"": b"{}"}, alerts, [POST]))
    failed = Attempt(1, AT + NS, 12.0, accepted=False, outcome="HTTP 500")
    outbox.tried(replace(POST, attempts=1, error="HTTP 500"), failed, PHONE)
    outbox.close()
    return str(path)


@pytest.fixture
def hook() -> Iterator[WebReceiver]:
    with receivers.web() as receiver:
        yield receiver


def test_list_tells_what_was_told_and_what_was_not_and_why(run: Run, db: str) -> None:
    code, out, _ = run("alerts", "list", "--last", "all", "--db", db)
    assert code == 0
    held, waiting = out.splitlines()[2:]
    assert held.split()[2:5] == ["phone", "BTC-USD", "Fast"]
    assert "4×" not in waiting
    assert "held back  00000000  muted until 23:13" in held
    assert "waiting    00000000  in message 1" in waiting
    assert "0 " not in run("alerts", "list", "--last", "all", "--min-size", "9", "--json", "--db", db)[1]
    _, out, _ = run("alerts", "list", "--last", "all", "--by-size", "--json", "--db", db)
    sizes = [json.loads(line)["alert"]["anomaly"]["size"] for line in out.splitlines()]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 2
    _, out, _ = run("alerts", "list", "--last", "all", "--outcome", "not-taken", "--db", db)
    assert "low: this channel takes high severity only" in out
    assert len(out.splitlines()) == 3
    _, out, _ = run("alerts", "list", "--last", "all", "--json", "--symbol", "btc-usd", "--limit", "1", "--db", db)
    (line,) = map(json.loads, out.splitlines())
    assert line["alert"]["verdict"] == "cooling"
    _, out, _ = run("alerts", "list", "--last", "all", "--channel", "nobody", "--db", db)
    assert out == "no alert yet, or none that is like that\n"


def test_messages_and_one_of_them_with_its_attempts(run: Run, db: str) -> None:
    _, out, _ = run("alerts", "messages", "--db", db)
    assert out.splitlines()[2].split()[3:6] == ["phone", "waiting", "1"]
    assert out.splitlines()[2].endswith("▼ BTC-USD fell 0.27 % (HTTP 500)")
    _, out, _ = run("alerts", "messages", "--undelivered", "--db", db)
    assert out == "no message yet, or none that is like that\n"
    _, out, _ = run("alerts", "show", "1", "--db", db)
    assert out.startswith("Message 1 to phone, waiting\n▼ BTC-USD fell 0.27 %\n\nfrom 37,000.50\n")
    assert "12 ms  HTTP 500" in out
    assert run("alerts", "show", "9", "--db", db) == (
        1,
        "",
        "tapewatch: there is no message 9; see tapewatch alerts messages\n",
    )


def test_channels_tell_how_they_stand(run: Run, db: str) -> None:
    _, out, _ = run("alerts", "channels", "--db", db)
    assert "phone    Slack    failing: HTTP 500  2023-11-14 22:13:20" in out
    _, out, _ = run("alerts", "channels", "--json", "--db", db)
    assert json.loads(out)["waiting"] == 1


def test_a_silence_is_added_listed_and_ended(run: Run, db: str) -> None:
    assert run("alerts", "silence", "--symbol", "BTC-*", "--for", "2h", "--note", "Fed", "--db", db)[:2] == (
        0,
        "nothing is told of BTC-* for 2 h, until 2023-11-15 00:13:20 UTC\n",
    )
    _, out, _ = run("alerts", "silences", "--db", db)
    assert " 1  active  2023-11-14 22:13:20  2023-11-15 00:13:20  BTC-*    Fed" in out
    assert run("alerts", "unsilence", "1", "--db", db)[1] == "silence 1 (BTC-*) ends now\n"
    assert " 1  past" in run("alerts", "silences", "--db", db)[1]
    assert run("alerts", "unsilence", "1", "--db", db)[0] == 1
    assert run("alerts", "unsilence", "7", "--db", db)[2] == "tapewatch: there is no silence 7\n"
    code, _, error = run("alerts", "silence", "--for", "soon", "--db", db)
    assert (code, error) == (2, "tapewatch: --for expects a span such as 5m, 1h, 24h or 7d, found 'soon'\n")


def test_a_silence_can_be_planned_and_steers_no_terminal(run: Run, db: str) -> None:
    span = ("--from", "2023-11-15 14:00", "--until", "2023-11-15T15:30+01:00")
    note = "[/red] the \x1b[2JFed"
    code, out, _ = run("alerts", "silence", "--symbol", "btc-*", *span, "--note", note, "--db", db)
    assert (code, out) == (
        0,
        "nothing is told of btc-* from 2023-11-15 14:00:00 for 30 min, until 2023-11-15 14:30:00 UTC\n",
    )
    _, out, _ = run("alerts", "silences", "--db", db)
    assert (
        " 1  planned  2023-11-15 14:00:00  2023-11-15 14:30:00  btc-*    [/red] the \N{REPLACEMENT CHARACTER}[2JFed"
        in out
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--severity", "hihg"), "--severity expects high, medium or low, found 'hihg'; did you mean high?"),
        (("--rule", "pct_spkie"), "'pct_spkie' matches no rule; did you mean pct_spike?"),
        (("--from", "noon"), "--from expects a moment such as '2026-01-31 14:00', found 'noon'"),
        (("--for", "1h", "--until", "2023-11-15 14:00"), "expected --for or --until, found both"),
        (("--until", "2023-11-13 14:00"), "an end within a year from now, and after its beginning, found 2023-11-13"),
    ],
)
def test_a_silence_that_would_silence_nothing_is_refused(
    run: Run, db: str, arguments: tuple[str, ...], said: str
) -> None:
    code, _, error = run("alerts", "silence", *arguments, "--db", db)
    assert code in (1, 2)
    assert said in error
    assert run("alerts", "silences", "--db", db)[1] == "no silence yet\n"


def test_only_what_was_given_up_is_tried_again_or_dismissed(run: Run, db: str) -> None:
    for command in ("retry", "dismiss"):
        assert run("alerts", command, "1", "--db", db) == (1, "", "tapewatch: there is no undelivered message 1\n")
    outbox = Outbox.open(db)
    given_up = replace(POST, state="undelivered", attempts=2, done_ts=AT, error="HTTP 500")
    outbox.tried(given_up, Attempt(1, AT + NS, 12.0, accepted=False, outcome="HTTP 500"), PHONE)
    outbox.close()
    assert "undelivered" in run("alerts", "messages", "--undelivered", "--db", db)[1]
    assert run("alerts", "dismiss", "1", "--db", db)[1] == "message 1 is dismissed; it stays in the list of messages\n"
    assert run("alerts", "messages", "--undelivered", "--db", db)[1] == "no message yet, or none that is like that\n"
    assert "dismissed" in run("alerts", "messages", "--db", db)[1]
    assert run("alerts", "retry", "1", "--db", db)[1] == "message 1 is tried again when alerting runs\n"


def test_nothing_is_sent_where_a_channel_is_wrong(run: Run, hook: WebReceiver, tmp_path: Path) -> None:
    good = f'[[alerts.channels]]\nname = "good"\nurl = "json://{hook.host}"\n'
    (tmp_path / "tapewatch.toml").write_text(f'{good}[[alerts.channels]]\nname = "bad"\nurl_file = "none"\n')
    code, out, error = run("alerts", "test")
    assert (code, out) == (2, "")
    assert 'channel "bad": url_file: none cannot be read' in error
    assert hook.requests == []


def test_a_sample_goes_to_each_channel_and_it_is_said_what_happened(
    run: Run, hook: WebReceiver, tmp_path: Path
) -> None:
    channels = "".join(
        f'[[alerts.channels]]\nname = "{name}"\nurl = "json://{hook.host}/{name}"\n' for name in ("good", "bad")
    )
    (tmp_path / "tapewatch.toml").write_text(channels)
    hook.then(answer(200), answer(500))
    code, out, error = run("alerts", "test")
    assert (code, error) == (1, "")
    good, bad = out.splitlines()
    assert good.startswith("good (JSON): accepted within ")
    assert bad == "bad (JSON): not accepted: HTTP 500"
    assert run("alerts", "test", "good")[0] == 0
    assert run("alerts", "test", "none")[2] == "tapewatch: there is no channel 'none'; there are: good, bad\n"
    assert [request.path for request in hook.requests] == ["/good", "/bad", "/good"]


def test_a_heartbeat_is_tried_with_the_samples_and_its_address_is_shown_nowhere(
    run: Run, hook: WebReceiver, tmp_path: Path
) -> None:
    channel = f'[[alerts.channels]]\nname = "good"\nurl = "json://{hook.host}/good"\n'
    heartbeat = f'[alerts]\nheartbeat_url = "http://{hook.host}/secret"\n'
    (tmp_path / "tapewatch.toml").write_text(heartbeat + channel)
    code, out, _ = run("alerts", "test")
    assert (code, out.splitlines()[1:]) == (0, ["heartbeat: accepted"])
    hook.then(answer(404))
    (tmp_path / "tapewatch.toml").write_text(heartbeat)
    assert run("alerts", "test")[:2] == (1, "heartbeat: not accepted: HTTP 404\n")
    assert [(request.method, request.path) for request in hook.requests[1:]] == [("GET", "/secret")] * 2
    code, out, _ = run("config", "show")
    assert (code, 'heartbeat_url = "***"' in out, "secret" in out) == (0, True, False)
    (tmp_path / "tapewatch.toml").write_text('[alerts]\nheartbeat_url = "secret"\n')
    code, _, error = run("config", "check")
    assert code == 2
    assert "alerts.heartbeat_url in tapewatch.toml: expected an address like https://hc-ping.com/" in error
    assert "secret" not in error


@pytest.mark.parametrize("command", [("alerts", "test"), ("alerts", "run")])
def test_without_channels_it_is_said_how_to_have_one(run: Run, command: tuple[str, ...]) -> None:
    code, _, error = run(*command)
    assert code == 2
    assert "alerts.channels: expected whom to tell, found nobody; add [[alerts.channels]]" in error


def test_a_wrong_channel_is_refused_before_anything_runs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tapewatch.toml").write_text('[[alerts.channels]]\nname = "phone"\nurl = "slak://TOKEN"\n')
    said = "alerts.channels in tapewatch.toml: channel \"phone\": url: unknown scheme 'slak'; did you mean slack?"
    for command in (("alerts", "test"), ("alerts", "run"), ("run", "--no-dashboard"), ("config", "check")):
        code, _, error = run(*command)
        assert (code, error) == (2, f"tapewatch: {said}\n"), command
    assert not (tmp_path / "data").exists()


def test_a_database_that_is_not_there_is_named(run: Run, hook: WebReceiver, tmp_path: Path) -> None:
    (tmp_path / "tapewatch.toml").write_text(f'[[alerts.channels]]\nname = "a"\nurl = "json://{hook.host}"\n')
    for command in ("run", "list", "messages", "channels", "silences"):
        code, _, error = run("alerts", command, "--db", "none.db")
        assert code in (1, 2), command
        assert "none.db" in error, command


def test_a_person_marks_anomalies_and_rules_have_a_precision(run: Run, db: str, tmp_path: Path) -> None:
    first, second = anomaly(1).id, anomaly(2).id
    assert run("verdicts", "mark", first, "true", "--note", "a listing", "--db", db)[1] == f"{first}: marked as true\n"
    assert run("verdicts", "mark", second, "false", "--db", db)[1] == f"{second}: marked as false\n"
    assert run("verdicts", "acknowledge", anomaly(3).id, "--db", db)[1] == f"{anomaly(3).id}: acknowledged\n"
    _, out, _ = run("verdicts", "list", "--db", db)
    assert [line.split()[3:] for line in out.splitlines()[2:]] == [
        ["acknowledged"],
        ["false"],
        ["true", "a", "listing"],
    ]
    _, out, _ = run("verdicts", "precision", "--db", db)
    assert out.splitlines()[2].split() == ["all", "time", "Fast", "move", "1", "1", "0", "50", "%"]
    _, out, _ = run("verdicts", "precision", "--by", "week", "--json", "--db", db)
    assert json.loads(out) == {"rule": "pct_spike", "start": 1_699_833_600 * NS, "true": 1, "false": 1, "expected": 0}
    _, out, _ = run("verdicts", "export", "--db", db)
    assert [json.loads(line)["label"] for line in out.splitlines()] == ["true", "false"]
    code, out, _ = run("verdicts", "export", "--format", "csv", "--out", "labels.csv", "--db", db)
    assert (code, out) == (0, "")
    assert (
        run("verdicts", "export", "--out", "labels.csv", "--format", "csv", "--db", db)[2] == "written to labels.csv\n"
    )
    assert (tmp_path / "labels.csv").read_text().splitlines()[1].startswith(f"{first},coinbase,BTC-USD,pct_spike,high")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("0000", "true"), "with which 3 begin"),
        (("zz", "true"), "with which none begins"),
        (("0", "maybe"), "LABEL expects true, false or expected, found 'maybe'"),
    ],
)
def test_what_is_no_anomaly_or_no_label_is_refused(run: Run, db: str, arguments: tuple[str, ...], said: str) -> None:
    code, _, error = run("verdicts", "mark", *arguments, "--db", db)
    assert code in (1, 2)
    assert said in error
