"""What a person asks alerting for from the keyboard: confirmed in a line, sent in a thread, answered in a notice."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from textual.app import App

from tapewatch.alert import Label, Silence
from tapewatch.dispatch.phrases import plain
from tapewatch.errors import StoreError
from tapewatch.model import Anomaly
from tapewatch.store.values import Values
from tapewatch.view.terminal.palette import Palette
from tapewatch.view.terminal.prompt import Prompt
from tapewatch.words import LABELS_SAID, sentence

Request = Callable[[str, Values], str]
"""See `Services.ask`."""

LABELS: Final[dict[str, Label]] = {"r": "true", "f": "false", "e": "expected"}
"""Key → what a person says of an event; the words are those of every dashboard."""

HOUR_S = 3_600


def about(anomaly: Anomaly) -> str:
    """Name an event in a question."""
    return f"{anomaly.symbol}: {sentence(anomaly)}"


class Wishes:
    """Ask on behalf of a screen.

    Parameters
    ----------
    request
        None: this screen can only look.
    """

    def __init__(self, app: App[None], request: Request | None, palette: Palette) -> None:
        self._app, self._request, self._palette = app, request, palette

    def mark(self, idents: Sequence[str], about: str) -> None:
        """Ask what an event was, of one or several anomalies, and tell alerting."""
        said = {key: LABELS_SAID[label] for key, label in LABELS.items()}

        def answered(key: str | None) -> None:
            if key is not None:
                label: Values = {} if key == "k" else {"label": LABELS[key]}
                self._send("mark", [{"anomaly": ident, **label} for ident in idents])

        self._ask(f"{about}: what was it?", {**said, "k": "seen, acknowledge"}, answered)

    def silence(self, symbol: str) -> None:
        """Hear nothing of a symbol for an hour."""

        def answered(key: str | None) -> None:
            if key is not None:
                self._send("silence", [{"for_s": HOUR_S, "symbol": symbol}])

        self._ask(f"Tell nobody of {symbol} for an hour?", {"y": "yes"}, answered)

    def unsilence(self, silence: Silence) -> None:
        """End a silence."""

        def answered(key: str | None) -> None:
            if key is not None:
                self._send("unsilence", [{"number": silence.number}])

        self._ask(f"End {silence.name} now?", {"y": "yes"}, answered)

    def retry(self, number: int) -> None:
        """Try an undelivered message again."""
        self._send("retry", [{"message": number}])

    def dismiss(self, number: int) -> None:
        """Let an undelivered message be."""

        def answered(key: str | None) -> None:
            if key is not None:
                self._send("dismiss", [{"message": number}])

        self._ask(f"Dismiss message {number}, which nobody took?", {"y": "yes"}, answered)

    def _ask(self, question: str, choices: dict[str, str], answered: Callable[[str | None], None]) -> None:
        self._app.push_screen(Prompt(question, choices, self._palette), answered)

    def _send(self, kind: str, wishes: Sequence[Values]) -> None:
        if self._request is None:
            self._say("refused: this screen can only look; use the command tapewatch alerts")
            return
        self._app.run_worker(partial(self._work, self._request, kind, wishes), thread=True, group="ask")

    def _work(self, request: Request, kind: str, wishes: Sequence[Values]) -> None:
        said = ""
        for arguments in wishes:
            try:
                said = request(kind, arguments)
            except StoreError as error:
                said = f"refused: {error}"
            if not said.startswith("done"):
                break
        self._app.call_from_thread(self._say, said)

    def _say(self, answer: str) -> None:
        word, _, said = plain(answer, len(answer)).partition(": ")
        self._app.notify(
            f"{said[:1].upper()}{said[1:]}.", severity="information" if word == "done" else "error", markup=False
        )
