"""What the page script is given: it runs inside Streamlit, which passes it nothing.

In: the dashboard, or a test, provides. Out: the script asks.
"""

from collections.abc import Callable
from typing import NamedTuple

from tapewatch.store.sql import Reader
from tapewatch.store.values import Values


class Services(NamedTuple):
    """What a page needs besides its visitor's choices.

    Attributes
    ----------
    clock
        Our wall clock, ns since the epoch.
    ask
        Asks for something, by kind and arguments, and returns what became of it: "done: …" or "refused: …". It
        blocks for up to some seconds, and raises StoreError where nobody answers.
    """

    reader: Reader
    clock: Callable[[], int]
    ask: Callable[[str, Values], str]


class _Provided:
    services: Services | None = None


def provide(services: Services) -> None:
    """Set what pages of this process get from now on."""
    _Provided.services = services


def provided() -> Services:
    """Return what was provided."""
    assert _Provided.services is not None, "a page runs inside the dashboard, which provides first"
    return _Provided.services
