"""How people ask alerting for something, and who answers: a request in, a sentence out.

Whoever tells a database's anomalies answers; where nobody does, the one who asks answers it in the same way.
"""

import threading
from pathlib import Path

from tapewatch.clock import Clock, SystemClock
from tapewatch.errors import StoreError
from tapewatch.runtime.asked import Asked, Known, answer
from tapewatch.runtime.lanes_clock import LanesClock
from tapewatch.store.outbox import Fresh, Outbox
from tapewatch.store.records import Clock as LastClock
from tapewatch.store.records import Decision
from tapewatch.store.sql import Reader
from tapewatch.store.values import Values

ANSWER_S = 5.0
"""How long a person waits for an answer."""

LOOK_EVERY_S = 0.1


def ask(db: str | Path, kind: str, arguments: Values) -> str:
    """Ask alerting for something, and wait for its answer; where nobody tells the database's anomalies, answer it here.

    Returns
    -------
    str
        "done: …" or "refused: …".

    Raises
    ------
    StoreError
        There is no database, or nobody answers.
    """
    clock, waiting = SystemClock(), threading.Event()
    reader = Reader(db)
    try:
        seq = reader.ask(kind, arguments, clock.now_ns())
        answer_here(db)
        for _ in range(round(ANSWER_S / LOOK_EVERY_S)):
            if (answer := reader.answer(seq)) is not None:
                return answer
            waiting.wait(LOOK_EVERY_S)
        raise StoreError(f"{reader.name}: alerting has not answered within {ANSWER_S:.0f} s; it will when it can")
    finally:
        reader.close()


def answer_here(db: str | Path) -> None:
    """Answer what people have asked of alerting, unless somebody tells this database's anomalies and does so."""
    try:
        outbox = Outbox.open(db)
    except StoreError:
        return
    try:
        settle(outbox, SystemClock())
    finally:
        outbox.close()


def answer_all(outbox: Outbox, fresh: Fresh, lanes_ns: int, now: int, channels: tuple[str, ...]) -> Asked:
    """Answer what people have asked for.

    Parameters
    ----------
    lanes_ns, now
        The lanes' clock and ours, ns.
    channels
        Names of those that can be sent a sample.
    """
    asked = Asked()
    known = Known(
        lanes_ns,
        now,
        {silence.number: silence for silence in fresh.silences},
        outbox.mark_of,
        outbox.undelivered,
        channels,
    )
    for request in fresh.requests:
        answer(request, known, asked)
    return asked


def settle(outbox: Outbox, clock: Clock) -> None:
    """Answer what people have asked for where nobody else does: alerting does not run."""
    kept, now = outbox.kept(), clock.now_ns()
    fresh = outbox.fresh(kept.position, 0)
    if not fresh.requests:
        return
    lanes = LanesClock()
    lanes.hear(fresh.clock or LastClock(now, now), now)
    asked = answer_all(outbox, fresh, lanes.now(now), now, ())
    outbox.commit(Decision(kept.position, {}, now, (), (), asked.answers, asked.silences, asked.marks, asked.retries))
