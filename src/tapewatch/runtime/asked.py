"""What people ask alerting for: requests in, a sentence for each of them and what it changes out."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from tapewatch import telemetry
from tapewatch.alert import Label, Mark, Silence
from tapewatch.errors import StoreError
from tapewatch.figures import clock, duration
from tapewatch.model import NS, Severity
from tapewatch.store.records import Answer, Request

T = TypeVar("T", bound=Struct)

LONGEST_S = 366 * 86_400.0

Pattern = Annotated[str, Meta(min_length=1, max_length=100)]
Number = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Note = Annotated[str, Meta(max_length=500)]


class SilenceFor(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``silence``: what to hear nothing of from now on, and for how long."""

    for_s: Annotated[float, Meta(gt=0, le=LONGEST_S)]
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


class Retry(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``retry``: which undelivered message to try again."""

    message: Number


class Sample(Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``sample``: which channel to send a sample to."""

    channel: str


class Asked(Struct):
    """What a moment's requests come to.

    Attributes
    ----------
    retries
        Numbers of messages to be tried again.
    samples
        Channels that are to get a sample.
    """

    answers: list[Answer] = msgspec.field(default_factory=list)
    silences: list[Silence] = msgspec.field(default_factory=list)
    marks: list[Mark] = msgspec.field(default_factory=list)
    retries: list[int] = msgspec.field(default_factory=list)
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
        The mark of an anomaly by its id, or None; raises KeyError where there is no such anomaly.
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
    until = known.lanes_ns + round(wanted.for_s * NS)
    pattern: dict[str, Any] = {name: getattr(wanted, name) for name in ("venue", "symbol", "rule", "severity", "note")}
    asked.silences.append(Silence(0, known.lanes_ns, until, **pattern))
    return f"silent for {duration(wanted.for_s)}, until {clock(until, '%Y-%m-%d %H:%M:%S')} UTC"


@_refusals(Unsilence)
def _unsilence(wanted: Unsilence, known: Known, asked: Asked) -> str:
    silence = known.silences.get(wanted.number)
    if silence is None:
        raise LookupError(f"there is no silence {wanted.number}")
    if silence.until <= known.lanes_ns:
        raise LookupError(f"{silence.name} has ended at {clock(silence.until, '%Y-%m-%d %H:%M:%S')} UTC")
    asked.silences.append(replace(silence, until=max(known.lanes_ns, silence.since)))
    return f"{silence.name} ends now"


@_refusals(MarkAs)
def _mark(wanted: MarkAs, known: Known, asked: Asked) -> str:
    said_now = (mark for mark in reversed(asked.marks) if mark.anomaly_id == wanted.anomaly)
    before = next(said_now, None) or known.mark_of(wanted.anomaly)
    before = before or Mark(wanted.anomaly, None, None, "", known.now_ns)
    mark = replace(
        before,
        label=wanted.label or before.label,
        note=before.note if wanted.note is None else wanted.note,
        acknowledged_ts=before.acknowledged_ts or known.now_ns,
        marked_ts=known.now_ns,
    )
    asked.marks = [each for each in asked.marks if each.anomaly_id != mark.anomaly_id] + [mark]
    return f"marked as {mark.label}" if wanted.label else "acknowledged"


@_refusals(Retry)
def _retry(wanted: Retry, known: Known, asked: Asked) -> str:
    channel = known.undelivered(wanted.message)
    if channel is None:
        raise LookupError(f"there is no undelivered message {wanted.message}")
    if known.channels and channel not in known.channels:
        raise LookupError(f"there is no channel {channel!r} any more, to which message {wanted.message} was to go")
    asked.retries.append(wanted.message)
    return f"message {wanted.message} is tried again{'' if known.channels else ' when alerting runs'}"


@_refusals(Sample)
def _sample(wanted: Sample, known: Known, asked: Asked) -> str:
    if wanted.channel not in known.channels:
        if not known.channels:
            raise LookupError("nobody tells anything now; start tapewatch alerts run, or try tapewatch alerts test")
        raise LookupError(f"there is no channel {wanted.channel!r}; there are: {', '.join(known.channels)}")
    asked.samples.append(wanted.channel)
    return f"a sample goes to {wanted.channel}"


_ANSWERS = {"silence": _silence, "unsilence": _unsilence, "mark": _mark, "retry": _retry, "sample": _sample}
