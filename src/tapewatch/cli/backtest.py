"""`tapewatch backtest`: the rules over recorded tapes, the anomalies as lines of JSON, a summary for a person."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapewatch.cli.common import ConfigOption, SetOption, settings

if TYPE_CHECKING:
    from tapewatch.carry.tape import BadRow, Tape
    from tapewatch.runtime.backtest import Report

SHOWN = 5
"""How many of the greatest anomalies and of the refused rows are spelled out."""


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
    from tapewatch.carry.tape import Tape
    from tapewatch.detect.rules import RuleBook
    from tapewatch.runtime import backtest as runtime

    rules = RuleBook.of(settings(config, set_).plain("rules"))
    refused: list[BadRow] = []
    with _progress() as (begin, advance):
        tape = Tape(paths, form=form, symbol=symbol, as_traded=as_traded, on_bad=refused.append, on_progress=advance)
        if out not in (None, "-"):
            runtime.check_out(Path(out), tape.files)
        begin(tape.size)
        report = runtime.backtest(tape, rules)
    if out == "-":
        runtime.write(report.anomalies, sys.stdout.buffer)
    elif out is not None:
        runtime.save(report.anomalies, Path(out))
    _show(report, to_stderr=out == "-")
    _warn(tape, refused)


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


def _show(report: "Report", *, to_stderr: bool) -> None:
    from rich.console import Console

    from tapewatch.detect.rules import RULES

    console = Console(stderr=to_stderr, highlight=False)
    ruled = [rule.name for rule in RULES]
    words = {rule.name: rule.words for rule in RULES}
    by_lane, by_day = report.by_lane(), report.by_day()
    lanes = _table("Symbol", "Trades", "Missing", "Again", *(words[name] for name in ruled))
    for lane, count in report.lanes.items():
        found = [f"{by_lane[lane, name]:,}" if name in count.armed else "-" for name in ruled]
        lanes.add_row(str(lane), f"{count.trades:,}", f"{count.missing:,}", f"{count.duplicates:,}", *found)
    days = _table("Day (UTC)", *(words[name] for name in ruled), "All")
    for day in sorted({day for day, _ in by_day}):
        counts = [by_day[day, name] for name in ruled]
        days.add_row(day, *(f"{number:,}" for number in (*counts, sum(counts))))
    console.print(lanes)
    if report.anomalies:
        console.print()
        console.print(days)
        console.print(f"\nGreatest of {len(report.anomalies):,} anomalies, by the limit:", style="bold")
    for anomaly in report.greatest(SHOWN):
        times = abs(anomaly.peak_observed) / anomaly.threshold
        console.print(f"{anomaly.opened_at[:19].replace('T', ' ')}  {anomaly.explain}; at its peak {times:.1f} times")


def _table(first: str, *headings: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _warn(tape: "Tape", refused: "list[BadRow]") -> None:
    for path in tape.skipped:
        typer.echo(f"tapewatch: passed over {path}: no recorded tape", err=True)
    for bad in refused[:SHOWN]:
        typer.echo(f"tapewatch: set aside {bad}", err=True)
    if len(refused) > SHOWN:
        typer.echo(f"tapewatch: set aside {len(refused):,} rows in all", err=True)


def _nothing(_: int) -> None:
    """Show nothing."""
