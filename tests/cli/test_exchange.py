"""`tapewatch exchange` as a person runs it: addresses, labels, Ctrl-C, and one clear line for a wrong value."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from support.virtual_time import PATIENCE_S
from tapewatch import cli

FREE = ("--port", "0", "--rest-port", "0")


@contextmanager
def serving(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Run the command until it has said where it is found."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from tapewatch.cli import main; main()", "exchange", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )
    try:
        said = ""
        assert process.stdout
        for line in process.stdout:
            said += line
            if line.startswith("Ctrl-C"):
                break
        yield process, re.search(r"ws://\S+", said)[0], re.search(r"http://\S+", said)[0]  # type: ignore[index]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_writes_labels_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    asked = ("--symbols", "ETH-USD, BTC-USD", "--labels", "labels.jsonl", "--start", "2026-07-07T22:58:00Z")
    with serving(*FREE, *asked, cwd=tmp_path) as (process, feed, api):
        async with httpx.AsyncClient() as asking, connect(feed) as client:
            told = (await asking.get(f"{api}/time")).json()
            assert told["iso"].startswith("2026-07-07T22:58:")
            request = {"type": "subscribe", "product_ids": ["ETH-USD", "BTC-USD"], "channels": ["matches"]}
            await client.send(json.dumps(request))
            async with asyncio.timeout(PATIENCE_S):
                kinds = [json.loads(await client.recv())["type"] for _ in range(4)]
            assert kinds == ["subscriptions", "last_match", "last_match", "match"]
            process.send_signal(number)
            out, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
        assert (process.returncode, out, err) == (0, "", "")
    assert (tmp_path / "labels.jsonl").exists()


async def test_flags_reach_the_exchange(tmp_path: Path) -> None:
    with serving(*FREE, "--rate", "2000", "--fault", "binary=1", "--calm", cwd=tmp_path) as (_, feed, _):
        async with connect(feed, max_queue=None) as client, asyncio.timeout(PATIENCE_S):
            await client.send('{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches"]}')
            heard = [await client.recv() for _ in range(400)]
        assert sum(isinstance(frame, bytes) for frame in heard) == 199, "one behind each match"


async def test_a_bad_day_can_be_planted(tmp_path: Path) -> None:
    bad = ("--trouble", "delist:ETH-USD", "--trouble", "whole", "--trouble", "omit:BTC-USD/matches")
    with serving(*FREE, *bad, cwd=tmp_path) as (_, feed, _):
        async with connect(feed) as client, asyncio.timeout(PATIENCE_S):
            answers = []
            for symbols in (["BTC-USD", "ETH-USD"], ["BTC-USD"]):
                request = {"type": "subscribe", "product_ids": symbols, "channels": ["matches", "heartbeat"]}
                await client.send(json.dumps(request))
                answers.append(json.loads(await client.recv()))
    assert answers[0] == {"type": "error", "message": "Failed to subscribe", "reason": "ETH-USD is delisted"}
    assert [channel["name"] for channel in answers[1]["channels"]] == ["heartbeat"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "drop"], "--fault expects NAME=RATE such as drop=0.001, found 'drop'"),
        (["--fault", "drop=often"], "--fault expects NAME=RATE such as drop=0.001, found 'drop=often'"),
        (["--fault", "drop=2"], "exchange.faults.drop in flag: expected a number <= 1.0, found 2.0"),
        (["--fault", "drip=0.1"], "exchange.faults.drip in flag: unknown key"),
        (["--trouble", "strike"], "exchange.troubles in flag: expected KIND[:WHAT][@START[+SECONDS]] such as"),
        (
            ["--start", "yesterday"],
            "exchange.start in flag: expected a time like 2026-07-07T22:58:00Z, found 'yesterday'",
        ),
        (["--start", "2010-01-01T00:00:00Z"], "expected a start from 2015-01-08 to 2100-01-01"),
        (["--symbols", "BTC-USB"], "'BTC-USB' is not simulated; expected one like BTC-USD"),
        (["--rate", "0"], "exchange.pace.rate in flag: expected a number > 0.0, found 0.0"),
        (["--port", "70000"], "Invalid value for '--port'"),
        (["--labels", "/nowhere/labels"], "exchange.labels: /nowhere/labels cannot be written"),
        (["--set", "exchange.sead=3"], "exchange.sead in flag: unknown key"),
    ],
)
def test_a_wrong_value_is_one_clear_line(
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tapewatch", "exchange", *FREE[2:], *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    said = capsys.readouterr()
    assert exit_.value.code == 2
    assert said.err.startswith("tapewatch: ")
    assert words in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
