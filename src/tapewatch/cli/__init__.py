"""The commands, one file per group; no logic lives here."""

import sys
from typing import Any

import typer

from tapewatch.cli import alerts, backtest, config, exchange, migrate, pipeline, rules, run, stack, verdicts, view
from tapewatch.errors import TapewatchError

UsageError: Any = typer.BadParameter.__mro__[1]
"""Base of Typer's complaints about flags and values; Typer exports only the one below it."""

INTERRUPTED = 130

app = typer.Typer(
    name="tapewatch",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Watch the tape and tell, at once and once, when something abnormal happens.",
    pretty_exceptions_enable=False,
)
app.add_typer(rules.app, name="rules")
run.register(app)
backtest.register(app)
exchange.register(app)
view.register(app)
migrate.register(app)
pipeline.register(app)
app.add_typer(alerts.app, name="alerts")
app.add_typer(verdicts.app, name="verdicts")
app.add_typer(stack.app, name="stack")
app.add_typer(config.app, name="config")


@app.command()
def version() -> None:
    """Print the version."""
    from tapewatch import __version__

    typer.echo(f"tapewatch {__version__}")


def main() -> None:
    """Run a command; an error that a person can act on becomes a line, several a line each, and an exit code."""
    try:
        code = app(standalone_mode=False)
    except TapewatchError as error:
        code = _complain(str(error), error.exit_code)
    except UsageError as error:
        code = _complain(error.format_message(), error.exit_code, error.ctx)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    sys.exit(code)


def _complain(message: str, code: int, context: typer.Context | None = None) -> int:
    if message:  # a bare `tapewatch` has printed its help and says nothing more
        see = f" (see {context.command_path} --help)" if context else ""
        for line in message.splitlines():
            typer.echo(f"tapewatch: {' '.join(line.split())}{see}", err=True)
    return code
