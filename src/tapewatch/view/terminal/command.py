"""`tapewatch top`: a database and a person's flags in, a live screen or one snapshot out."""

import os
import sys
import time
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct
from rich.console import Console

from tapewatch.errors import ConfigError
from tapewatch.store.sight import Sight
from tapewatch.store.sql import Reader
from tapewatch.store.values import Values
from tapewatch.view.queries import Filter
from tapewatch.view.terminal.picture import Ask, look

DEFAULT_DB = "data/tapewatch.db"

PIPE_CELLS = 144
"""Width of a snapshot in a pipe, which has none of its own."""


class TopConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``top``."""

    hz: Annotated[float, Meta(ge=0.1, le=4, description="Looks at the database a second")] = 2.0
    mean_bars: Annotated[
        int, Meta(ge=2, le=200, description="Bars in the moving average and in the bands' deviation")
    ] = 20
    sigmas: Annotated[float, Meta(ge=0.5, le=5, description="Half the bands' width in standard deviations")] = 2.0
    theme: Annotated[Literal["dark", "light"], Meta(description="Colours")] = "dark"


def live(
    reader: Reader, wanted: Filter, config: TopConfig, request: Callable[[str, Values], str] | None = None
) -> None:
    """Run the screen until the person leaves it.

    Parameters
    ----------
    request
        Asks alerting for something, see `Services.ask`; None: the screen can only look.
    """
    from tapewatch.view.terminal.app import Top
    from tapewatch.view.terminal.palette import DARK, LIGHT

    palette = LIGHT if config.theme == "light" else DARK
    sight = Sight(reader)
    ask = _ask(wanted, config)
    Top(reader, ask=ask, clock=sight, differs=sight.difference, hz=config.hz, palette=palette, request=request).run()


def once(reader: Reader, wanted: Filter, config: TopConfig, *, rows: int, console: Console, sight: Sight) -> None:
    """Print one look: in colour on a terminal, as plain text into a pipe.

    Raises
    ------
    ConfigError
        The filter names a symbol that nobody captures.
    """
    from tapewatch.view.terminal.once import snapshot

    ask = _ask(wanted, config, rows)
    picture, reason = look(reader, sight.settled(time.sleep), ask, sight.difference())
    if picture is not None:
        _check_symbols(wanted, [each.symbol for each in picture.watch])
    for line in snapshot(picture, reason, ask, console.width):
        console.print(line, soft_wrap=True)


def at_a_terminal() -> bool:
    """Tell whether a screen could be drawn and keys be read; it is drawn through standard error."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def pipe_or_terminal() -> Console:
    """Make a console on standard output that prints texts as they are; a pipe gets COLUMNS as width, or a wide one."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not (console.is_terminal or "COLUMNS" in os.environ):
        console.width = PIPE_CELLS
    return console


def _check_symbols(wanted: Filter, captured: list[str]) -> None:
    for symbol in wanted.symbols:
        if symbol not in captured:
            raise ConfigError(f"--symbol expects one of {', '.join(captured)}, found {symbol!r}")


def _ask(wanted: Filter, config: TopConfig, limit: int = Ask().limit) -> Ask:
    return Ask(filter=wanted, mean_bars=config.mean_bars, sigmas=config.sigmas, limit=limit)
