"""`tapewatch rules`: what each rule does, its parameters and limits, an example, and when not to use it."""

import difflib
from typing import Annotated

import typer

from tapewatch.cli.common import ConfigOption, SetOption, settings
from tapewatch.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Explain the rules: what fires, with which limits, on which symbols.")


@app.command("list")
def list_rules(
    symbol: Annotated[list[str] | None, typer.Option(help="Show the limits on this symbol; repeatable.")] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """List all rules with their severity and limits."""
    from rich.console import Console
    from rich.table import Table

    from tapewatch.detect.rules import RULES, RuleBook

    book = RuleBook.of(settings(config, set_).plain("rules"))
    symbols = symbol or ["BTC-USD", "ETH-USD"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Rule", "In words", "Severity", *symbols):
        table.add_column(heading, no_wrap=heading == "Rule")
    for rule in RULES:
        armed = [book.params(rule, one) for one in symbols]
        limits = [rule.limit(params) if params else "off" for params in armed]
        table.add_row(rule.name, rule.words, rule.severity, *limits)
    Console().print(table)
    typer.echo("\nOne rule in full: tapewatch rules show RULE")


@app.command()
def show(
    rule: Annotated[str, typer.Argument(help="The rule, e.g. pct_spike or 'fast move'.")],
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show one rule: what it does, its parameters with bounds, an example, and when not to use it."""
    from tapewatch.detect.rules import RULES, RuleBook
    from tapewatch.detect.sheet import sheet
    from tapewatch.words import rule_of

    by_name = {one.name: one for one in RULES}
    rule = rule_of(rule)
    if rule not in by_name:
        near = difflib.get_close_matches(rule, by_name, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"unknown rule {rule!r}: expected one of {', '.join(by_name)}{hint}")
    typer.echo(sheet(by_name[rule], RuleBook.of(settings(config, set_).plain("rules"))))
