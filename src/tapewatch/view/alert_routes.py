"""Addresses of the page of alerts: lists and stories out, and one at which a person asks for something.

In: HTTP requests that have passed the guard. Out: JSON with the words in it, or a file of labels.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tapewatch.store import log
from tapewatch.store.sql import Reader
from tapewatch.store.values import Values
from tapewatch.view import alerts, marks
from tapewatch.view.alert_wire import (
    AnomalyPicture,
    alert_picture,
    anomaly_picture,
    mark_picture,
    overview,
    story_picture,
)
from tapewatch.view.alerts import AlertFilter, Outcome, Standing
from tapewatch.view.answering import answering, answering_posts, as_json
from tapewatch.view.export import MIME, Form
from tapewatch.view.marks import Step
from tapewatch.view.status import status
from tapewatch.view.wire import Name, row

ALERTS_MAX = 500
UNDELIVERED_SHOWN = 50
MARKS_SHOWN = 2_000

Ident = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\0]*$")]


class AlertsWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/alerts: those that a filter lists, newest first, in pages.

    Attributes
    ----------
    before, before_seq, before_channel
        When the last row of the page before happened, ns, its number and its channel.
    """

    channels: Annotated[tuple[Name, ...], Meta(max_length=50)] = ()
    outcomes: tuple[Outcome, ...] = ()
    symbols: Annotated[tuple[Name, ...], Meta(max_length=8)] = ()
    within_s: Annotated[int, Meta(ge=60, le=366 * 86_400)] | None = None
    before: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    before_seq: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    before_channel: Name = ""
    limit: Annotated[int, Meta(ge=1, le=ALERTS_MAX)] = 200


class OverviewWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/alerting: channels, silences, what was not delivered, and precision by day or week."""

    by: Step = "day"


class MessageWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/message."""

    number: Annotated[int, Meta(ge=1, le=2**63 - 1)]


class AnomalyWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/anomaly."""

    id: Ident


class MarksWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/marks: what people said last."""


class LabelsWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/labels."""

    form: Form = "csv"


class Asking(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of /api/ask: what a person wants of alerting; who answers judges the arguments."""

    kind: Literal["silence", "unsilence", "mark", "retry", "dismiss", "sample"]
    arguments: Annotated[dict[Name, str | int | float | None], Meta(max_length=10)]


def alert_routes(reader: Reader, clock: Callable[[], int], ask: Callable[[str, Values], str]) -> list[BaseRoute]:
    """Make them; parameters are those of `routes`."""
    return [*_lists(reader, clock), *_single(reader, clock), Route("/api/ask", _asked(ask), methods=["POST"])]


def _lists(reader: Reader, clock: Callable[[], int]) -> list[BaseRoute]:
    def listed(wish: AlertsWish) -> Response:
        wanted = AlertFilter(wish.channels, wish.outcomes, wish.symbols, wish.within_s)
        before = None if wish.before is None else (wish.before, wish.before_seq, wish.before_channel)
        rows = []
        if reader.ready():
            with reader.connect() as conn:
                now_ns = status(conn, clock()).now_ns
                rows = [alert_picture(each) for each in alerts.alerts(conn, wanted, now_ns, wish.limit, before)]
        return as_json({"rows": rows})

    def whole(wish: OverviewWish) -> Response:
        wall_ns = clock()
        if not reader.ready():
            nothing = overview(Standing(lanes_ns=wall_ns), wall_ns, undelivered=[], silences=[], precision=[])
            return as_json(nothing)
        with reader.connect() as conn:
            standing = alerts.standing(conn, wall_ns)
            return as_json(
                overview(
                    standing,
                    wall_ns,
                    undelivered=alerts.messages(conn, ["undelivered"], limit=UNDELIVERED_SHOWN),
                    silences=alerts.silences(conn, standing.lanes_ns),
                    precision=marks.precision(conn, wish.by),
                )
            )

    def said(_: MarksWish) -> Response:
        found = []
        if reader.ready():
            with reader.connect() as conn:
                found = [mark_picture(each, clock()) for each in marks.marks(conn, MARKS_SHOWN)]
        return as_json({"marks": found})

    def labels(wish: LabelsWish) -> Response:
        suffix = "csv" if wish.form == "csv" else "jsonl"
        named = {"content-disposition": f'attachment; filename="labels.{suffix}"', "cache-control": "no-store"}
        return Response(marks.labels(reader, wish.form), headers=named, media_type=MIME[wish.form])

    return [
        Route("/api/alerts", answering(listed, AlertsWish)),
        Route("/api/alerting", answering(whole, OverviewWish)),
        Route("/api/marks", answering(said, MarksWish)),
        Route("/api/labels", answering(labels, LabelsWish)),
    ]


def _single(reader: Reader, clock: Callable[[], int]) -> list[BaseRoute]:
    def message(wish: MessageWish) -> Response:
        story, now_ns = None, 0
        if reader.ready():
            with reader.connect() as conn:
                story = alerts.message(conn, wish.number)
                now_ns = alerts.lanes_ns(conn, clock())
        if story is None:
            return as_json({"error": f"there is no message {wish.number}"}, 404)
        return as_json(story_picture(story, now_ns))

    def anomaly(wish: AnomalyWish) -> Response:
        # Also one that nobody knows is an answer: an address may lead to a database that has been replaced.
        if not reader.ready():
            return as_json(AnomalyPicture(None, (), None))
        with reader.connect() as conn:
            found = log.anomaly(conn, wish.id)
            said = marks.mark(conn, wish.id)
            told = alerts.alerts_of(conn, [wish.id])
        mark = None if said is None else mark_picture(said, clock())
        return as_json(anomaly_picture(None if found is None else row(found), told, mark))

    return [
        Route("/api/message", answering(message, MessageWish)),
        Route("/api/anomaly", answering(anomaly, AnomalyWish)),
    ]


def _asked(ask: Callable[[str, Values], str]) -> Callable[[Request], Awaitable[Response]]:
    def asked(wish: Asking) -> Response:
        word, _, said = ask(wish.kind, wish.arguments).partition(": ")
        return as_json({"done": word == "done", "said": f"{said[:1].upper()}{said[1:]}"})

    return answering_posts(asked, Asking)
