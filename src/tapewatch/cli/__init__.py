"""The commands, one file per group; no logic lives here."""

import sys

import typer

from tapewatch.errors import TapewatchError

app = typer.Typer(
    name="tapewatch",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Watch the tape and tell, at once and once, when something abnormal happens.",
    pretty_exceptions_enable=False,
)


@app.command()
def version() -> None:
    """Print the version."""
    from tapewatch import __version__

    typer.echo(f"tapewatch {__version__}")


def main() -> None:
    """Run a command; an error that a person can act on becomes one line and an exit code."""
    try:
        app()
    except TapewatchError as error:
        typer.echo(f"tapewatch: {error}", err=True)
        sys.exit(error.exit_code)
