"""`tapewatch migrate`: a database in, the number of its schema and what was or is to be applied out."""

from typing import TYPE_CHECKING, Annotated

import typer

from tapewatch.cli.common import ConfigOption, DbOption, SetOption, settings

if TYPE_CHECKING:
    from tapewatch.store.migrations import Migration


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(migrate)


def migrate(
    db: DbOption = None,
    apply: Annotated[
        bool,
        typer.Option("--apply/--check", help="Apply what is pending; or only look, with exit code 1 where some is."),
    ] = True,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Bring a database to this program's schema, and show its migrations.

    A database that is not there is made; one that a newer tapewatch wrote is refused. Run and demo do the same by
    themselves: this is for who wants to know first, or may not make tables at run time.
    """
    from tapewatch.errors import before_it_runs
    from tapewatch.runtime.opening import RunConfig
    from tapewatch.store.sql import Store, history_of

    given = settings(config, set_).with_flags("run", db=db).section("run", RunConfig)
    with before_it_runs():
        if apply:
            Store.open(given.db).close()
        name, found = history_of(given.db)
    applied = [each.number for each in found if each.applied_at is not None]
    typer.echo(f"{name}: {f'schema {max(applied)}' if applied else 'no tables yet'}, this program's is {len(found)}")
    for each in found:
        typer.echo(_line(each))
    if len(applied) < len(found):
        raise typer.Exit(1)


def _line(migration: "Migration") -> str:
    at = migration.applied_at
    when = f"applied {at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else "pending"
    return f"{migration.number:>5}  {when:<31}  {migration.words}"
