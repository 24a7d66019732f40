"""Fixtures that every part of the tests may use."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support import brokers, databases, images
from support.brokers import RunningBroker
from support.databases import Database, PostgresqlDatabase, SqliteDatabase
from tapewatch.runtime.postgres import Server

# A timing is no assertion: compiling a kernel or a busy machine is no failure.
settings.register_profile("tapewatch", deadline=None, print_blob=True)
settings.load_profile("tapewatch")

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def no_stream_of_an_earlier_test() -> Iterator[None]:
    """Take away what Streamlit hangs on the loggers of websockets and uvicorn.

    It writes to the standard error of the test that started Streamlit, which is closed for the tests that follow.
    """
    yield
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and (handler := vars(logger).get("streamlit_console_handler")):
            logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Take back what a command that ran in this process has set for our log."""
    ours = logging.getLogger("tapewatch")
    before = ours.handlers[:], ours.level, ours.propagate
    yield
    ours.handlers[:], ours.level, ours.propagate = before


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real recordings, which carry no licence to be part of the project."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"real recordings are not at hand: expected them in {RECORDINGS}")
    return RECORDINGS


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, as the Dockerfile does."""
    return images.build_wheel(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Run a PostgreSQL of this process's own, with nothing in it."""
    with databases.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def broker() -> Iterator[RunningBroker]:
    """Run a Kafka broker of this process's own."""
    with brokers.broker() as made:
        yield made


@pytest.fixture
def postgresql_database(postgresql: Server) -> Iterator[PostgresqlDatabase]:
    """Make a database of a real server."""
    database = databases.fresh(postgresql)
    yield database
    databases.drop(postgresql, database)


@pytest.fixture(params=databases.KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Make a place for a database of each kind in turn: one test, run against both."""
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "x.db")
    found: PostgresqlDatabase = request.getfixturevalue("postgresql_database")
    return found
