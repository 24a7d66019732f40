"""`tapewatch produce` as a person uses it: wrong values and brokers, the end of a tape, a signal."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from support.brokers import RunningBroker, messages
from support.markets import seeded
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.tape import Recorder

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    recorder = Recorder.open(tmp_path / "tape")
    recorder.append(seeded(4, 1_500, 2))
    recorder.close()
    return tmp_path / "tape"


def command(tape: Path, config: KafkaConfig, *arguments: object) -> list[str]:
    named = [f"kafka.{name}={getattr(config, name)}" for name in ("anomalies", "quarantine")]
    sets = [part for each in named for part in ("--set", each)]
    start = (sys.executable, "-m", "tapewatch", "produce", "--source", f"tape:{tape}", "--topic", config.trades)
    return [*start, "--brokers", config.brokers, *sets, *map(str, arguments)]


def produce(tape: Path, config: KafkaConfig, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb"}
    return subprocess.run(
        command(tape, config, *arguments), capture_output=True, text=True, check=False, cwd=tape.parent, env=environment
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--speed", "-1"], "'--speed'"),
        (["--source", "kraken"], "run.source: expected coinbase, simulated or tape:PATH, found 'kraken'"),
        (["--source", "tape:nowhere"], "nowhere"),
        (["--set", "kafka.partitions=0"], "kafka.partitions"),
        (["--set", 'kafka.options={"no.such"="1"}'], 'No such configuration property: "no.such"'),
        (["--set", 'kafka.option_files={"sasl.password"="secret"}'], "secret cannot be read"),
    ],
)
def test_what_is_wrong_before_it_runs_is_one_line_and_exit_code_2(tape: Path, arguments: list[str], words: str) -> None:
    told = produce(tape, KafkaConfig(brokers=NOWHERE), *arguments)
    assert told.returncode == 2, told.stderr
    assert told.stderr.splitlines()[-1].startswith("tapewatch: ")
    assert words in told.stderr


def test_a_broker_that_is_away_at_the_start_is_exit_code_1_so_that_a_supervisor_starts_it_again(tape: Path) -> None:
    told = produce(tape, KafkaConfig(brokers=NOWHERE))
    assert told.returncode == 1, told.stderr
    assert "no broker answers" in told.stderr
    assert told.stderr.rstrip().endswith("Connection refused")


def test_a_tape_is_sent_to_its_end_and_another_one_is_refused(broker: RunningBroker, tape: Path) -> None:
    config = broker.config()
    told = produce(tape, config, "--speed", 0)
    assert told.returncode == 0, told.stderr
    sent = len(messages(config, config.trades))
    assert sent > 1_000
    assert told.stderr.splitlines()[-1].endswith(f"end of tape: {sent:,} rows")
    shutil.move(tape, tape.parent / "moved")
    told = produce(tape.parent / "moved", config, "--speed", 0)
    assert told.returncode == 2, told.stderr
    assert "found those of another source" in told.stderr


def test_health_tells_whether_rows_arrive_and_a_signal_stops_in_order(broker: RunningBroker, tape: Path) -> None:
    config = broker.config()
    child = subprocess.Popen(command(tape, config, "--speed", 1), stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr is not None
        said = []
        for line in child.stderr:
            said.append(line)
            if line.startswith("sending"):
                break
        (url,) = [word.rstrip(",") for line in said for word in line.split() if word.endswith("/healthz,")]
        with urllib.request.urlopen(url.replace("healthz", "readyz")) as answer:  # noqa: S310
            assert answer.status == 200
        with urllib.request.urlopen(url.replace("healthz", "metrics")) as answer:  # noqa: S310
            shown = answer.read().decode()
        assert float(shown.partition("\ntapewatch_kafka_rows_total ")[2].split()[0]) > 0
        assert "\ntapewatch_kafka_waiting_messages " in shown
        child.send_signal(signal.SIGTERM)
        _, rest = child.communicate(timeout=30)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 0, rest
    assert "by a signal" in rest
