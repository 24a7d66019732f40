"""What people ask of alerting, wherever they do: requests in, a sentence for each of them and what it changes out.

Whoever tells a database's anomalies answers (`answer_all`); where nobody does, the one who asks (`ask`) answers it in
the same way.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from tapewatch import telemetry
from tapewatch.alert import Label, Mark, Silence
from tapewatch.clock import SystemClock
from tapewatch.dispatch.config import unknown_rule
from tapewatch.dispatch.phrases import plain
from tapewatch.errors import StoreError
from tapewatch.figures import clock, duration
from tapewatch.model import NS, Severity
from tapewatch.store.outbox import Outbox
from tapewatch.store.records import Answer, Clock, Decision, Fresh, Request
from tapewatch.store.sql import Reader
from tapewatch.store.values import Values
from tapewatch.words import rule_of

T = TypeVar("T", bound=Struct)

LONGEST_S = 366 * 86_400.0

ANSWER_S = 5.0
"""How long a person waits for an answer."""

LOOK_EVERY_S = 0.1

SETTLE_AT = (2, 10, 20, 30, 40)
"""Looks at which who asks tries to answer: by the first of them whoever tells has answered, and another one who asked
may have held the place just then."""

DATE = "%Y-%m-%d %H:%M:%S"
NOTE_MAX = 500

Moment = Annotated[float, Meta(ge=0, le=9e9)]
Pattern = Annotated[str, Meta(min_length=1, max_length=100)]
Number = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Note = Annotated[str, Meta(max_length=NOTE_MAX)]


class SilenceFor(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``silence``: what to hear nothing of, and when; one of `for_s` and `until_s`.

    Attributes
    ----------
    for_s
        How long, seconds.
    since_s, until_s
        By the lanes' clock, seconds since the epoch; `since_s` None: from now on.
    """

    for_s: Annotated[float, Meta(gt=0, le=LONGEST_S)] | None = None
    since_s: Moment | None = None
    until_s: Moment | None = None
    venue: Pattern = "*"
    symbol: Pattern = "*"
    rule: Pattern = "*"
    severity: Severity | None = None
    note: Note = ""


class Unsilence(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``unsilence``: which silence to end now."""

    number: Number


class MarkAs(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``mark``: what a person says of an anomaly.

    Attributes
    ----------
    label
        None leaves what was said before.
    note
        None leaves what was noted before.
    """

    anomaly: str
    label: Label | None = None
    note: Note | None = None


class Undelivered(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``retry`` and ``dismiss``: which undelivered message to try again, or to see no more."""

    message: Number


class Sample(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``sample``: which channel to send a sample to."""

    channel: str


class Asked(Struct):
    """What a moment's requests come to.

    Attributes
    ----------
    retries, dismissed
        Numbers of messages to be tried again, or to be shown no more among the undelivered ones.
    samples
        Channels that are to get a sample.
    """

    answers: list[Answer] = msgspec.field(default_factory=list)
    silences: list[Silence] = msgspec.field(default_factory=list)
    marks: list[Mark] = msgspec.field(default_factory=list)
    retries: list[int] = msgspec.field(default_factory=list)
    dismissed: list[int] = msgspec.field(default_factory=list)
    samples: list[str] = msgspec.field(default_factory=list)


class Known(Struct, frozen=True):
    """What is looked at to answer.

    Attributes
    ----------
    lanes_ns, now_ns
        The lanes' clock and ours, ns.
    silences
        By number.
    mark_of
        The mark of an anomaly by its id, or None; raises LookupError where there is no such anomaly.
    undelivered
        Tells the channel of a message that was given up; None: there is no such message.
    channels
        Names of those that are there now; none where nobody is telling anything.
    """

    lanes_ns: int
    now_ns: int
    silences: Mapping[int, Silence]
    mark_of: Callable[[str], Mark | None]
    undelivered: Callable[[int], str | None]
    channels: tuple[str, ...]


def answer(request: Request, known: Known, asked: Asked) -> None:
    """Judge a request, and add to `asked` what it comes to."""
    try:
        said = _ANSWERS[request.kind](request.arguments, known, asked)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  # one who asks for the impossible must not stop all others
        telemetry.log(telemetry.REQUEST_FAILED, kind=request.kind, error=error)
        said = "refused: it cannot be done"
    asked.answers.append(Answer(request.seq, known.now_ns, said))


def _refusals(struct: type[T]) -> Callable[[Callable[[T, Known, Asked], str]], Callable[[str, Known, Asked], str]]:
    # Decodes the arguments; what cannot be done is said, not raised.
    def decorate(work: Callable[[T, Known, Asked], str]) -> Callable[[str, Known, Asked], str]:
        def decoded(arguments: str, known: Known, asked: Asked) -> str:
            try:
                return f"done: {work(msgspec.json.decode(arguments, type=struct), known, asked)}"
            except (msgspec.DecodeError, LookupError) as error:
                return f"refused: {error.args[0] if error.args else error}"

        return decoded

    return decorate


@_refusals(SilenceFor)
def _silence(wanted: SilenceFor, known: Known, asked: Asked) -> str:
    now = known.lanes_ns
    since = now if wanted.since_s is None else max(now, round(wanted.since_s * NS))
    if wanted.for_s is not None:
        until = since + round(wanted.for_s * NS)
    elif wanted.until_s is not None:
        until = round(wanted.until_s * NS)
    else:
        raise LookupError("expected how long, or until when, found neither")
    if not since < until <= now + round(LONGEST_S * NS):
        raise LookupError(f"expected an end within a year from now, and after its beginning, found {_date(until)} UTC")
    if (problem := unknown_rule(wanted.rule)) is not None:
        raise LookupError(problem)
    patterns = {name: plain(getattr(wanted, name)) for name in ("venue", "symbol")} | {"rule": rule_of(wanted.rule)}
    note = plain(wanted.note, NOTE_MAX)
    silence = Silence(0, since, until, **patterns, severity=wanted.severity, note=note)
    asked.silences.append(silence)
    begins = "" if since == now else f"from {_date(since)} "
    lasts = f"{begins}for {duration((until - since) / NS)}, until {_date(until)} UTC"
    return f"nothing is told of {silence.matches} {lasts}"


@_refusals(Unsilence)
def _unsilence(wanted: Unsilence, known: Known, asked: Asked) -> str:
    silence = known.silences.get(wanted.number)
    if silence is None:
        raise LookupError(f"there is no silence {wanted.number}")
    if silence.until <= known.lanes_ns:
        raise LookupError(f"{silence.name} has ended at {_date(silence.until)} UTC")
    since = min(silence.since, known.lanes_ns)  # one that was to come never held
    asked.silences.append(replace(silence, since=since, until=known.lanes_ns))
    return f"{silence.name} ends now"


@_refusals(MarkAs)
def _mark(wanted: MarkAs, known: Known, asked: Asked) -> str:
    said_now = (mark for mark in reversed(asked.marks) if mark.anomaly_id == wanted.anomaly)
    before = next(said_now, None) or known.mark_of(wanted.anomaly)
    before = before or Mark(wanted.anomaly, None, None, "", known.now_ns)
    mark = replace(
        before,
        label=wanted.label or before.label,
        note=before.note if wanted.note is None else plain(wanted.note, NOTE_MAX),
        acknowledged_ts=before.acknowledged_ts or known.now_ns,
        marked_ts=known.now_ns,
    )
    asked.marks = [each for each in asked.marks if each.anomaly_id != mark.anomaly_id] + [mark]
    return f"marked as {mark.label}" if wanted.label else "acknowledged"


@_refusals(Undelivered)
def _retry(wanted: Undelivered, known: Known, asked: Asked) -> str:
    channel = _channel_of(wanted.message, known)
    if known.channels and channel not in known.channels:
        raise LookupError(
            f"there is no channel {channel!r} any more, to which message {wanted.message} was to go; dismiss it"
        )
    asked.retries.append(wanted.message)
    return f"message {wanted.message} is tried again{'' if known.channels else ' when alerting runs'}"


@_refusals(Undelivered)
def _dismiss(wanted: Undelivered, known: Known, asked: Asked) -> str:
    _channel_of(wanted.message, known)
    asked.dismissed.append(wanted.message)
    return f"message {wanted.message} is dismissed; it stays in the list of messages"


def _channel_of(message: int, known: Known) -> str:
    channel = known.undelivered(message)
    if channel is None:
        raise LookupError(f"there is no undelivered message {message}")
    return channel


@_refusals(Sample)
def _sample(wanted: Sample, known: Known, asked: Asked) -> str:
    if wanted.channel not in known.channels:
        if not known.channels:
            raise LookupError("nobody tells anything now; start tapewatch alerts run, or try tapewatch alerts test")
        raise LookupError(f"there is no channel {wanted.channel!r}; there are: {', '.join(known.channels)}")
    asked.samples.append(wanted.channel)
    return f"a sample goes to {wanted.channel}"


_ANSWERS = {
    "silence": _silence,
    "unsilence": _unsilence,
    "mark": _mark,
    "retry": _retry,
    "dismiss": _dismiss,
    "sample": _sample,
}


def _date(ts: int) -> str:
    return clock(ts, DATE)


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
        for look in range(1, round(ANSWER_S / LOOK_EVERY_S)):
            waiting.wait(LOOK_EVERY_S)
            if (said := reader.answer(seq)) is not None:
                return said
            if look in SETTLE_AT:
                answer_here(db)
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
        kept, now = outbox.kept(), SystemClock().now_ns()
        fresh = outbox.fresh(kept.position, 0)
        if fresh.requests:
            lanes_ns = (fresh.clock or Clock(now, now)).lanes_ns(now)
            outbox.commit(decided(answer_all(outbox, fresh, lanes_ns, now, ()), kept.position, now))
    finally:
        outbox.close()


def answer_all(outbox: Outbox, fresh: Fresh, lanes_ns: int, now: int, channels: tuple[str, ...]) -> Asked:
    """Answer what people have asked for.

    Parameters
    ----------
    lanes_ns, now
        The lanes' clock and ours, ns.
    channels
        Names of those that can be sent a sample; none where nobody is telling anything.
    """
    asked = Asked()
    silences = {silence.number: silence for silence in fresh.silences}
    known = Known(lanes_ns, now, silences, outbox.mark_of, outbox.undelivered, channels)
    for request in fresh.requests:
        answer(request, known, asked)
    return asked


def decided(asked: Asked, position: int, now: int, **more: Any) -> Decision:
    """Make a decision of what people asked for, and of what else was decided."""
    people = {name: getattr(asked, name) for name in ("answers", "silences", "marks", "retries", "dismissed")}
    return Decision(position, judged_ts=now, **people, **more)
