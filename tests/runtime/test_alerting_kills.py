"""kill -9 of whoever tells, at seeded moments: no alert without its verdict, none that nobody accepted, none lost."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import receivers
from support.receivers import Act, WebReceiver, accept_and_reset, answer, hang, reset_after, reset_before
from support.tellers import EVERYTHING, Happening, Teller, channel, config, rows
from tapewatch.dispatch.config import AlertsConfig

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD", "DOGE-USD")
KILLS_A_DATABASE = 20
SETTLED_S = 60.0


@pytest.fixture
def hook() -> Iterator[WebReceiver]:
    with receivers.web() as receiver:
        yield receiver


class Market:
    """Anomalies that open, double and end, as a seed wants it."""

    def __init__(self, happening: Happening, chance: random.Random) -> None:
        self._happening = happening
        self._chance = chance
        self._open: list[str] = []

    def move(self) -> None:
        dice = self._chance.random()
        if dice < 0.5 or not self._open:
            self._open.append(self._happening.open(self._chance.choice(SYMBOLS)))
        elif dice < 0.8:
            self._happening.escalate(self._chance.choice(self._open))
        else:
            self._happening.end(self._open.pop(self._chance.randrange(len(self._open))))


def a_bad_day(chance: random.Random) -> Act:
    return chance.choice((answer(500), answer(429, retry_after="0"), reset_before(), reset_after(), accept_and_reset()))


def live_and_die(db: Path, alerts: AlertsConfig, market: Market, hook: WebReceiver, chance: random.Random) -> None:
    """Let things happen to one process until it is killed: while it is answered, just after that, or whenever."""
    way = chance.choice(("unanswered", "just answered", "whenever"))
    before = len(hook.requests)
    for _ in range(chance.randrange(3)):
        hook.then(a_bad_day(chance))
    if way == "unanswered":
        hook.then(hang())
    teller = Teller(db, alerts)
    try:
        for _ in range(chance.randrange(1, 6)):
            market.move()
        if way == "whenever":
            threading.Event().wait(chance.uniform(0, 0.6))
        else:
            with hook.changed:
                hook.changed.wait_for(lambda: len(hook.requests) > before + chance.randrange(3), 3)
    finally:
        teller.kill()
        while (act := hook.next()).what != "answer" or act.status != 200:
            pass  # what this process did not come to is asked of no other one
        hook.release()


def settle(db: Path, alerts: AlertsConfig, happening: Happening) -> None:
    """Let a process that nobody kills bring everything to its end."""
    teller = Teller(db, alerts)
    waiting = threading.Event()
    for _ in range(round(SETTLED_S / 0.05)):
        happening.commit()  # the lanes' clock goes on
        position = rows(db, "SELECT value FROM meta WHERE key = 'reader:alerts'")
        undone = rows(db, "SELECT count(*) FROM alerts WHERE verdict IS NULL")
        if position == [(str(happening.told),)] and undone == [(0,)]:
            break
        waiting.wait(0.05)
    assert teller.stop() == 0


def check(db: Path, hook: WebReceiver, *, ends: bool) -> None:
    told = "SELECT c.seq, a.verdict, a.message FROM changes c LEFT JOIN alerts a ON a.change_seq = c.seq"
    wanted = rows(db, told if ends else f"{told} WHERE c.change != 'ended'")
    assert wanted
    assert all(verdict is not None for _, verdict, _ in wanted), "every change has its alert, and each its verdict"
    accepted = [request.headers["idempotency-key"] for request in hook.accepted]
    messages = dict(rows(db, "SELECT number, key FROM messages"))
    for _, verdict, message in wanted:
        assert (message is not None) is (verdict in ("sent", "grouped", "digest"))
        assert message is None or messages[message] in accepted, "who is said to have it has it"
    assert set(accepted) == set(messages.values()), "each message was accepted, and nothing else was sent"
    assert rows(db, "SELECT count(*) FROM messages WHERE state != 'sent'") == [(0,)]
    assert rows(db, "SELECT count(*) FROM alerts WHERE reason = ''") == [(0,)]


def run(tmp_path: Path, hook: WebReceiver, seed: int, kills: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # a test's dice, which must fall the same way again
    db = tmp_path / f"{seed}.db"
    ends = bool(chance.getrandbits(1))
    # Nothing is so large that it is told minutes later, muted or not: a test cannot wait for that.
    muting = {"group_s": 0.3, "cool_down_s": 0.5, "budget_per_hour": 1_000_000, "unbudgeted_step": 20}
    wish = EVERYTHING if chance.random() < 0.7 else muting
    alerts = config(channel(hook.host, ends=ends), **wish)
    hook.requests.clear()
    hook.accepted.clear()
    happening = Happening(db)
    try:
        market = Market(happening, chance)
        for _ in range(kills):
            live_and_die(db, alerts, market, hook, chance)
        settle(db, alerts, happening)
        check(db, hook, ends=ends)
    finally:
        happening.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_through_kills(tmp_path: Path, hook: WebReceiver, seed: int) -> None:
    run(tmp_path, hook, seed, 8)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 125))
def test_nothing_is_lost_through_five_hundred_kills(tmp_path: Path, hook: WebReceiver, seed: int) -> None:
    run(tmp_path, hook, seed, KILLS_A_DATABASE)
