"""A page of the dashboard without a browser: it applies messages as the browser does, and comes back as it does."""

import msgspec

from tapewatch.model import Lane
from tapewatch.view.wire import Subscription


class Page:
    """What a page knows of one lane's bars and of all anomalies.

    Attributes
    ----------
    bars
        Values by time of the bar.
    rows
        Anomalies by id, as JSON.
    happened
        Numbers of the changes that it was told, in the order in which it was told.
    afresh
        Whether it was told to read afresh.
    """

    def __init__(self, lane: Lane, width: int = 1) -> None:
        self.wish = Subscription(number=1, venue=lane.venue, symbol=lane.symbol, width=width)
        self.bars: dict[float, tuple[float, ...]] = {}
        self.rows: dict[str, dict[str, object]] = {}
        self.happened: list[int] = []
        self.parts: dict[str, object] = {}
        self.afresh = False

    def take(self, text: bytes | str | None) -> None:
        """Apply a message."""
        if text is None:
            return
        message = msgspec.json.decode(text)
        if message["type"] == "resync":
            self.afresh = True
            return
        if message["type"] == "beat":
            return
        self.wish = msgspec.structs.replace(
            self.wish, epoch=message["epoch"], revision=message["revision"], seq=message["seq"]
        )
        self.bars |= {bar[0]: tuple(bar) for bar in message.get("bars", [])}
        self.rows |= {row["id"]: row for row in message.get("rows", [])}
        self.happened += [seq for seq, *_ in message.get("happened", [])]
        self.parts |= {
            name: message[name] for name in ("now", "alerting", "watch", "tally", "prices") if name in message
        }
