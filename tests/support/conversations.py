"""A conversation with a venue about subscriptions, whose part a test speaks; time moves as its script says."""

import json
import re

from tapewatch.capture.subscribing import Pair, Subscribing
from tapewatch.model import NS

CHANNELS = ("matches", "heartbeat")


class Play:
    """Asks a venue whose part a test speaks; time moves as the script says.

    A line is a time in seconds and what happens: ``connect``, ``< ack BTC,ETH``, ``< ack BTC matches``, ``< error
    TEXT``, ``< beat BTC`` and ``< match BTC`` come from outside; ``> BTC,ETH`` and ``> BTC matches`` are our requests.
    """

    def __init__(self, *symbols: str) -> None:
        self.asking = Subscribing(symbols, CHANNELS)
        self.said: list[str] = []
        self.asked: list[tuple[int, tuple[Pair, ...]]] = []
        self.now_ns = 0

    def until(self, now_ns: int) -> None:
        while (wake_ns := max(self.asking.wake_ns, self.now_ns)) <= now_ns and not self.asking.dead:
            self.now_ns = wake_ns
            before = len(self.asked)
            self._ask()
            if len(self.asked) == before and self.asking.wake_ns <= self.now_ns:
                break  # asked, and nothing more to do at this moment
        self.now_ns = now_ns

    def hear(self, line: str) -> None:
        """Take one thing that the venue does."""
        kind, _, rest = line.partition(" ")
        if kind == "connect":
            self.asking.connected(self.now_ns)
        elif kind == "ack":
            names, _, channels = rest.partition(" ")
            listed = {Pair(name, each) for name in split(names) for each in (channels.split() or CHANNELS)}
            self.asking.acknowledged(listed, self.now_ns)
        elif kind == "error":
            self.asking.refused(rest, self.now_ns)
        else:
            self.asking.heard(f"{rest}-USD", {"beat": "heartbeat", "match": "matches"}[kind], self.now_ns)
        self._ask()

    def _ask(self) -> None:
        for text in self.asking.requests(self.now_ns):
            request = json.loads(text)
            assert request["type"] == "subscribe", "nothing is ever unsubscribed"
            common = request.get("product_ids")
            wanted = [
                (each, common) if isinstance(each, str) else (each["name"], each["product_ids"])
                for each in request["channels"]
            ]
            self.asked.append((self.now_ns, tuple(Pair(name, each) for each, names in wanted for name in names)))
            by_names: dict[str, list[str]] = {}
            for each, names in wanted:
                by_names.setdefault(",".join(name.removesuffix("-USD") for name in names), []).append(each)
            told = (
                names + ("" if tuple(each) == CHANNELS else " " + " ".join(each)) for names, each in by_names.items()
            )
            self.said.append(f"{self.now_ns / NS:.2f} > {'; '.join(told)}")


def split(names: str) -> list[str]:
    return [f"{name}-USD" for name in names.split(",") if name]


def told(script: str, *symbols: str) -> Play:
    """Play a script and compare what we say with what it says that we do."""
    play = Play(*split(",".join(symbols)))
    lines = [line.split("#")[0].strip() for line in script.strip().splitlines()]
    lines = [re.sub(r" +", " ", line) for line in lines if line]
    for line in lines:
        at, _, rest = line.partition(" ")
        play.until(round(float(at) * NS))
        if not rest.startswith((">", "end")):
            play.hear(rest.removeprefix("< "))
    expected = [line for line in lines if " > " in line]
    assert play.said == expected
    return play
