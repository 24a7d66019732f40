"""Rows over a real broker: what is sent comes back, in order, once."""

from support.brokers import RunningBroker, messages
from support.markets import seeded
from tapewatch.carry import codec
from tapewatch.carry.kafka.sender import Sender
from tapewatch.carry.kafka.topics import end_of, make_topics


def test_what_is_sent_comes_back_in_the_order_of_each_lane(broker: RunningBroker) -> None:
    config = broker.config()
    make_topics(config)
    rows = seeded(1, 2_000, 3)
    sender = Sender(config, "s", end_of(config))
    for _ in sender.send(rows, 0):
        sender.poll()
    assert sender.flush(10) == 0
    found = messages(config, config.trades)
    assert sorted(message.value() for message in found) == sorted(codec.encode(rows))
    assert sender.acknowledged == len(rows.data)
