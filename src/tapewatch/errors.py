"""The whole exception tree; every message says what was expected, what was found, and where.

::

    TapewatchError
    ├── ConfigError      a wrong flag, file, key or value: nothing has run; the command exits with 2
    ├── FeedError        the venue sent what its documentation does not promise, or went away
    │   └── BrokerAwayError     no Kafka broker answers
    ├── TapeError        a recorded tape cannot be read or written
    ├── SnapshotError    a detector's state cannot be restored
    └── StoreError       the database refuses: another source, another instance, a newer schema
        └── DatabaseAwayError   no database server answers
"""

from collections.abc import Iterator
from contextlib import contextmanager


class TapewatchError(Exception):
    """Base of all errors that a person can act on."""

    exit_code = 1
    away = False
    """Somebody else does not answer, and may do so later: starting again may help."""


class ConfigError(TapewatchError):
    """A wrong flag, file, key or value."""

    exit_code = 2


class FeedError(TapewatchError):
    """The venue broke its protocol or went away."""


class BrokerAwayError(FeedError):
    """No Kafka broker answers."""

    away = True


class TapeError(TapewatchError):
    """A recorded tape cannot be read or written."""


class SnapshotError(TapewatchError):
    """A detector's state cannot be restored."""


class StoreError(TapewatchError):
    """The database refuses: it belongs to another source, to another instance, or to a newer program."""


class DatabaseAwayError(StoreError):
    """No database server answers, or it lets nobody in just now."""

    away = True


@contextmanager
def before_it_runs() -> Iterator[None]:
    """Make a `ConfigError` of what refuses before anything has run: what was asked for cannot be had.

    A supervisor may take exit code 2 for "starting again cannot help"; who is only away stays what it is.
    """
    try:
        yield
    except TapewatchError as error:
        if error.away:
            raise
        raise ConfigError(str(error)) from error
