"""Addresses: what stands for which database, and no password in anything that a person may see."""

import sys
from pathlib import Path

import pytest

from tapewatch.errors import ConfigError
from tapewatch.store.engine import POSTGRESQL, apart, database_url, name_of, open_engine, sqlite_path
from tapewatch.store.sql import Store

SECRET = "s3cr3t"  # noqa: S105  # of nobody


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_all_names_of_postgresql_mean_the_same_driver(scheme: str) -> None:
    url = database_url(f"{scheme}://me:{SECRET}@host:5433/name?options=-csearch_path%3Dmine")
    assert url.drivername == POSTGRESQL
    assert (url.host, url.port, url.database, url.password) == ("host", 5433, "name", SECRET)
    assert url.query == {"options": "-csearch_path=mine"}
    assert sqlite_path(url) is None
    assert name_of(url) == "postgresql://me:***@host:5433/name?options=-csearch_path%3Dmine"


def test_a_plain_path_is_a_file() -> None:
    url = database_url(Path("data/x.db"))
    assert (sqlite_path(url), name_of(url)) == (Path("data/x.db"), "data/x.db")


def test_a_password_among_the_parameters_is_hidden_too() -> None:
    url = database_url(f"postgresql://me@host/name?password={SECRET}&sslpassword={SECRET}&sslmode=require")
    assert name_of(url) == "postgresql://me@host/name?sslmode=require"


@pytest.mark.parametrize(
    "address",
    [
        f"mysql://me:{SECRET}@host/name",
        f"mongodb://me:{SECRET}@host/name",
        f"postgresql+asyncpg://me:{SECRET}@host/name",
        f"postgresql://me:{SECRET}@host:port/name",
        f"postgresql://me:{SECRET}@host",
        f"postgresql://me:{SECRET}@",
    ],
)
def test_another_address_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--db expects a path or an address such as postgresql://") as caught:
        database_url(address)
    assert SECRET not in str(caught.value)


def test_a_store_does_not_show_its_password() -> None:
    reader = Store.read(f"postgresql://me:{SECRET}@host/name")
    assert SECRET not in f"{reader.name} {reader.url} {reader.url!r} {reader!r}"
    reader.close()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_missing_driver_is_one_line_that_says_how_to_get_it(read_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'tapewatch\[postgres\]'$"):
        open_engine(database_url("postgresql://host/name"), read_only=read_only)


@pytest.mark.parametrize(
    ("address", "open_part", "secret"),
    [
        ("data/x.db", "data/x.db", {}),
        ("postgresql://me@host/name", "postgresql://me@host/name", {}),
        (
            f"postgresql://me:{SECRET}@host:1/name?a=b",
            "postgresql+psycopg://me@host:1/name?a=b",
            {"PGPASSWORD": SECRET},
        ),
        (f"postgresql://me@host/name?password={SECRET}", "postgresql+psycopg://me@host/name", {"PGPASSWORD": SECRET}),
    ],
)
def test_a_child_gets_the_password_apart(address: str, open_part: str, secret: dict[str, str]) -> None:
    assert apart(address) == (open_part, secret)
