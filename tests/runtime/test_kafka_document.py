"""What docs/kafka.md tells people to type works as written, and its tables tell the truth."""

import doctest
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from support.brokers import RunningBroker
from support.markets import LANES, seeded
from tapewatch.carry import codec
from tapewatch.carry.codec import Message
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import end_of
from tapewatch.carry.kafka.sender import Sender
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.store.records import Quarantined

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "kafka.md"


def section(title: str) -> str:
    return DOCUMENT.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def fields(title: str) -> set[str]:
    cells = re.findall(r"^\| (`[^|]+`) \| (?:string|integer|number)", section(title), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_field_of_a_message_is_documented() -> None:
    assert fields("Messages of `tapewatch.trades`") == set(Message.__struct_fields__)
    assert fields("Messages of `tapewatch.quarantine`") == set(Quarantined.__struct_fields__)


def test_its_examples_are_true() -> None:
    (example,) = re.findall(r"```json\n(.*?)\n```", section("Messages of `tapewatch.trades`"), re.DOTALL)
    rows, refused = codec.decode([example.encode()])
    assert refused == []
    assert codec.encode(rows, ["4f1c09aa:4:11"]) == [example.encode()]
    assert doctest.testfile(str(DOCUMENT), module_relative=False).failed == 0


def test_kafkas_own_console_consumer_reads_the_topics_as_the_document_says(
    broker: RunningBroker, tmp_path: Path
) -> None:
    config = KafkaConfig(brokers=broker.address)
    make_topics(config)
    rows = seeded(1, 400, 3)
    sender = Sender(config, "0123abcd", end_of(config))
    list(sender.send(rows, 0))
    assert sender.set_aside(Quarantined(1, "coinbase", "BTC-USD", "not JSON", b"{"), 0)
    while sender.unanswered:
        sender.poll(0.01)

    bin_ = tmp_path / ".venv" / "bin"
    bin_.mkdir(parents=True)
    (bin_ / "tapewatch").write_text(f'#!/bin/sh\nexec {sys.executable} -m tapewatch "$@"\n')
    (bin_ / "tapewatch").chmod(0o755)
    blocks = re.findall(r"```sh\n(.*?)```", section("Reading them"), re.DOTALL)
    said = typed("echo NEXT\n".join(blocks).replace("127.0.0.1:9092", broker.address), tmp_path).split("NEXT\n")
    written = {each.decode() for each in codec.encode(rows, [f"0123abcd:4:{row}" for row in range(len(rows.data))])}
    assert len(said[0].splitlines()) == 5
    assert set(said[0].splitlines()) <= written
    for line in said[1].splitlines():
        headers, key, value = line.split("\t")
        assert re.fullmatch(r"tapewatch:1(,ledger:.*)?", headers)
        assert key in map(str, LANES)
        assert value in written
    assert json.loads(said[2])["reason"] == "not JSON"


def typed(block: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euc", block], cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
