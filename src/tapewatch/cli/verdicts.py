"""`tapewatch verdicts`: what people say of anomalies, how often the rules were right, and labels as a file."""

import sys
from pathlib import Path
from typing import Annotated, get_args

import typer

from tapewatch.cli import tables
from tapewatch.cli.common import (
    ConfigOption,
    DbOption,
    JsonOption,
    SetOption,
    ask,
    db_of,
    reading,
    settings,
    show_all,
)
from tapewatch.config import Settings
from tapewatch.errors import TapewatchError

app = typer.Typer(no_args_is_help=True, help="Say what an anomaly was: a real event, a false alarm, or expected.")

LABELS = ("true", "false", "expected")

AnomalyArgument = Annotated[str, typer.Argument(metavar="ANOMALY", help="Its id, or the beginning of it.")]
NoteOption = Annotated[str | None, typer.Option(help="A note that goes with it.")]


@app.command()
def mark(
    anomaly: AnomalyArgument,
    label: Annotated[str, typer.Argument(help="true, false or expected.")],
    note: NoteOption = None,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Mark an anomaly as true, false or expected; the last word counts."""
    from tapewatch.view.choices import one_of

    said = one_of("LABEL", label.lower(), LABELS)
    given = settings(config, set_)
    whole = _whole(given, db, anomaly)
    ask(given, db, "mark", {"anomaly": whole, "label": said, "note": note}, f"{whole}: ")


@app.command()
def acknowledge(
    anomaly: AnomalyArgument,
    note: NoteOption = None,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Say that somebody has taken note of an anomaly."""
    given = settings(config, set_)
    whole = _whole(given, db, anomaly)
    ask(given, db, "mark", {"anomaly": whole, "note": note}, f"{whole}: ")


@app.command("list")
def list_(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many, newest first.")
    ] = 50,
    json: JsonOption = False,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """List what people said of anomalies, the latest first."""
    from tapewatch.view import marks

    with reading(settings(config, set_), db) as (conn, _):
        found = marks.marks(conn, limit)
    show_all(found, json, tables.marks)


@app.command()
def precision(
    by: Annotated[str, typer.Option(help="day, week or all.")] = "all",
    json: JsonOption = False,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show how often each rule was right: true among true and false; what was expected does not count."""
    from tapewatch.view import marks
    from tapewatch.view.choices import one_of

    span = one_of("--by", by, ("day", "week", "all"))
    with reading(settings(config, set_), db) as (conn, _):
        found = marks.precision(conn, "week" if span == "week" else "day")
    show_all(marks.in_all(found) if span == "all" else found, json, tables.precision)


@app.command()
def export(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; none: standard output.")] = None,
    form: Annotated[str, typer.Option("--format", help="json (lines) or csv.")] = "json",
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write all labels as a file, for whoever trains or counts."""
    from tapewatch.store.sql import Store
    from tapewatch.view import marks
    from tapewatch.view.choices import one_of
    from tapewatch.view.export import Form
    from tapewatch.view.nearby import require

    chosen = one_of("--format", form, get_args(Form))
    reader = Store.read(db_of(settings(config, set_), db))
    try:
        require(reader)
        text = marks.labels(reader, chosen)
    finally:
        reader.close()
    if out is None:
        sys.stdout.buffer.write(text)
        return
    try:
        out.write_bytes(text)
    except OSError as error:
        raise TapewatchError(f"{out}: cannot be written ({error.strerror})") from None
    typer.echo(f"written to {out}", err=True)


def _whole(given: Settings, db: str | None, beginning: str) -> str:
    from tapewatch.view import queries

    with reading(given, db) as (conn, _):
        found = queries.ids(conn, beginning)
    if len(found) == 1:
        return found[0]
    raise TapewatchError(
        f"expected the id of one anomaly, or the beginning of it, found {beginning!r}, with which "
        f"{'none begins' if not found else f'{len(found)} begin, such as {found[0]} and {found[1]}'}"
    )
