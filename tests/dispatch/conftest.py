"""Receivers on loopback, and the channels that lead there."""

from collections.abc import Iterator

import pytest

from support import receivers
from support.receivers import MailReceiver, WebReceiver


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebReceiver]:
    """Run a web server, and lead Slack, Telegram and Discord to it."""
    with receivers.web() as receiver:
        receivers.lead_here(receiver, monkeypatch)
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    """Run a mail server."""
    with receivers.mail() as receiver:
        yield receiver
