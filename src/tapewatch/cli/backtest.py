"""`tapewatch backtest`: the rules over recorded tapes, the anomalies as lines of JSON, a summary for a person."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapewatch.cli.common import ConfigOption, SetOption, settings

if TYPE_CHECKING:
    from tapewatch.carry.tape import BadRow, Tape
    from tapewatch.runtime.backtest import Report

SHOWN = 5
"""How many of the greatest anomalies and of the refused rows are spelled out."""

COLLECT_EVERY = 200_000
"""Objects made before garbage is looked for."""

WIDTH = 120
"""Columns of the summary where it does not go to a terminal."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backtest)


def backtest(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Recorded tapes: files, folders, or patterns like 'day-*.csv.gz'."),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write each anomaly as a line of JSON; - for standard output."
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="tape (our own), csv, aggtrades, binance-socket, coinbase-socket, coinbase-array, coinbase-advanced.",
            show_default="found out file by file",
        ),
    ] = None,
    symbol: Annotated[
        str | None,
        typer.Option(metavar="A-B", help="Name the lane where a file does not say it, or says it otherwise."),
    ] = None,
    as_traded: Annotated[
        bool,
        typer.Option("--as-traded", help="Sort trades by id and leave out gaps, as if the feed had been perfect."),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Run the rules over recorded tapes.

    Several tapes are read as one, in order of receipt. The same tapes and the same rules give the same
    file, byte for byte. Example: tapewatch backtest recordings/ --out anomalies.jsonl
    """
    from tapewatch.carry.ahead import ahead
    from tapewatch.carry.tape import Tape

    given = settings(config, set_).plain("rules")
    refused: list[BadRow] = []
    with _few_collections(), _progress() as (begin, advance):
        tape = Tape(paths, form=form, symbol=symbol, as_traded=as_traded, on_bad=refused.append, on_progress=advance)
        begin(tape.size)
        with ahead(tape) as blocks:  # while the engine is loaded
            from tapewatch.detect.rules import RuleBook
            from tapewatch.runtime import backtest as runtime

            rules = RuleBook.of(given)
            if out not in (None, "-"):
                runtime.check_out(Path(out), tape.files)
            report = runtime.backtest(blocks, rules)
    if out == "-":
        _print(report)
    elif out is not None:
        runtime.save(report.anomalies, Path(out))
    _show(report, to_stderr=out == "-")
    _warn(tape, refused)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for garbage in cycles rarely: there is next to none, and looking takes a tenth of a short backtest."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show a bar on a terminal: functions that tell how many bytes there are, and how many more were read."""
    if not sys.stderr.isatty():
        yield _nothing, _nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading the tape"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda size: progress.update(task, total=size), lambda more: progress.advance(task, more)


def _print(report: "Report") -> None:
    """Write lines of JSON to standard output; a reader that has seen enough, like `head`, is no error."""
    from tapewatch.runtime.backtest import write

    try:
        write(report.anomalies, sys.stdout.buffer)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still flushes at its end


def _show(report: "Report", *, to_stderr: bool) -> None:
    from rich.console import Console

    from tapewatch.cli.tables import table
    from tapewatch.detect.rules import RULES
    from tapewatch.model import NS
    from tapewatch.words import peak_words, size_words

    console = Console(stderr=to_stderr, highlight=False)
    console.width = console.width if console.is_terminal else WIDTH
    headings = [rule.words.replace(" ", "\n") for rule in RULES]
    one_venue = len({lane.venue for lane in report.lanes}) == 1
    by_lane, by_day = report.by_lane(), report.by_day()
    lanes = table("Symbol", "Trades", "Ids\nmissing", *headings, right=("Trades", "Ids\nmissing", *headings))
    for lane, count in report.lanes.items():
        found = [f"{by_lane[lane, rule.name]:,}" if rule.name in count.armed else "-" for rule in RULES]
        lanes.add_row(lane.symbol if one_venue else str(lane), f"{count.trades:,}", f"{count.missing:,}", *found)
    console.print(lanes)
    days = table("Opened on", "All", *headings, right=("All", *headings))
    for day in sorted({day for day, _ in by_day}):
        counts = [by_day[day, rule.name] for rule in RULES]
        days.add_row(day, *(f"{number:,}" for number in (sum(counts), *counts)))
    greatest = table("Greatest, UTC", "Symbol", "Rule", "Peak", "Size", right=("Peak", "Size"))
    words = {rule.name: rule.words for rule in RULES}
    for each in report.greatest(SHOWN):
        at = f"{datetime.fromtimestamp(each.peak_ts // NS, UTC):%Y-%m-%d %H:%M:%S}"
        greatest.add_row(at, each.symbol, words[each.rule], peak_words(each), size_words(each))
    for shown in (days, greatest) if report.anomalies else ():
        console.print()
        console.print(shown)
    again = sum(count.duplicates for count in report.lanes.values())
    if again:
        console.print(f"\n{again:,} trades were told again and changed nothing")


def _warn(tape: "Tape", refused: "list[BadRow]") -> None:
    for path in tape.skipped:
        typer.echo(f"tapewatch: passed over {path}: no recorded tape", err=True)
    for bad in refused[:SHOWN]:
        typer.echo(f"tapewatch: set aside {bad}", err=True)
    if len(refused) > SHOWN:
        typer.echo(f"tapewatch: set aside {len(refused):,} rows in all", err=True)


def _nothing(_: int) -> None:
    """Show nothing."""
