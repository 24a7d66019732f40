"""A PostgreSQL of our own: found, made, started, found again, and started again after it was killed."""

import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from support.databases import kill
from support.missing import lacking
from tapewatch.errors import ConfigError, StoreError
from tapewatch.runtime import postgres
from tapewatch.runtime.postgres import Server, find


@pytest.fixture(params=["system", "wheel"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Make a server, not started: the system's, and that of the wheel."""
    if request.param == "wheel":
        without_system(monkeypatch)
    try:
        found = find()
    except ConfigError as error:
        lacking("PostgreSQL", error)
    if found.from_wheel != (request.param == "wheel"):
        pytest.skip("the system has no PostgreSQL of its own")
    home = Path(tempfile.mkdtemp(prefix="tapewatch-postgresql-"))
    made = Server(home, found, durable=False)
    yield made
    made.stop()
    shutil.rmtree(home)


def without_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(postgres, "SYSTEM", Path("/nowhere"))


def asked(server: Server, query: str) -> object:
    with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as connection:
        told = connection.execute(query)
        return told.fetchone() if told.description else None


def test_it_keeps_what_it_held_and_takes_no_one_without_the_password(server: Server) -> None:
    server.start()
    server.create()
    server.create()  # it is there
    asked(server, "CREATE TABLE kept (what TEXT)")
    url = server.url()
    assert stat.S_IMODE((server.home / "password").stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="no password"):
        psycopg.connect(host=postgres.HOST, port=server.port, user=postgres.USER, dbname=postgres.USER, passfile="/no")
    server.start()
    assert server.url() == url  # it was running
    server.stop()
    assert server.pid is None
    server.stop()
    server.start()
    assert asked(server, "SELECT count(*) FROM kept") == (0,)


def test_one_that_was_killed_is_started_again(server: Server) -> None:
    server.start()
    server.create()
    asked(server, "CREATE TABLE kept (what TEXT)")
    asked(server, "CHECKPOINT")  # to the disk, which tests do not wait for otherwise
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    again = Server(server.home, find())
    again.start()
    assert asked(again, "SELECT count(*) FROM kept") == (0,)


def test_one_that_was_killed_comes_back_where_it_was(server: Server) -> None:
    server.start()
    server.create()
    url = server.url()
    kill(server)
    server.start()
    assert server.url() == url
    assert asked(server, "SELECT 1") == (1,)
    kill(server)
    server._bury()
    with socket.create_server((postgres.HOST, make_url(url).port)):
        (server.data / "postmaster.pid").write_text(f"0\n{server.data}\n0\n{make_url(url).port}\n")
        server.start()
        assert asked(server, "SELECT 1") == (1,)


def test_it_listens_where_it_is_told_to_if_nobody_else_does(server: Server) -> None:
    with socket.create_server((postgres.HOST, 0)) as other:
        port = other.getsockname()[1]
        server.start(port)
        assert server.port != port
        server.stop()
    server.start(port)
    assert server.port == port


def test_another_instance_finds_the_one_that_runs(server: Server) -> None:
    server.start()
    other = Server(server.home, find(), durable=False)
    assert (other.pid, other.port) == (server.pid, server.port)
    other.stop()
    assert server.pid is None


def test_data_that_were_begun_and_not_finished_are_made_anew(server: Server) -> None:
    begun = server.home / "data.begun"
    begun.mkdir()
    (begun / "PG_VERSION").write_text("9\n")
    server.start()
    assert server.pid is not None


def test_a_port_that_somebody_else_takes_first_is_no_matter(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    free = postgres._free_port
    with socket.create_server((postgres.HOST, 0)) as taken:
        ports = iter([taken.getsockname()[1], free()])
        monkeypatch.setattr(postgres, "_free_port", lambda: next(ports))
        server.start()
        assert server.port != taken.getsockname()[1]


def test_a_server_that_does_not_start_says_why(server: Server) -> None:
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("9.1\n")
    with pytest.raises(StoreError, match=r"PostgreSQL does not start: .*(incompatible|version 9\.1).*; see .*/log"):
        server.start()


def test_where_there_is_none_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without_system(monkeypatch)
    monkeypatch.setattr(postgres, "WHEEL", "no_such_wheel")
    with pytest.raises(ConfigError, match="PostgreSQL's server is not installed; install the package postgresql"):
        find()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
def test_a_wheel_in_a_folder_of_roots_own_is_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_system(monkeypatch)
    found = find()
    closed, wheel = tmp_path / "closed", found.folder.parents[1]
    closed.mkdir(mode=0o700)
    for part in wheel.parent.glob(f"{wheel.name}*"):
        if part.is_dir() and part.suffix != ".dist-info":
            shutil.copytree(part, closed / part.name)
    home = Path(tempfile.mkdtemp(prefix="tapewatch-postgresql-"))
    place = closed / found.folder.relative_to(wheel.parent)
    try:
        server = Server(home, found._replace(folder=place), durable=False)
        server.start()
        server.stop()
        with pytest.raises(ConfigError, match=r"does not run as root, and .* is closed to others"):
            Server(home, found._replace(folder=place, from_wheel=False))
    finally:
        shutil.rmtree(home)
