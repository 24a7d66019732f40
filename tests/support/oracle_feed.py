"""The rules about the feed itself as the page states them: one row after another in, what fires on it out."""

from support.oracle_rules import Finding, Parameters
from support.oracle_words import NS, anew_sentence, blind_sentence, exact, missing_sentence, silence_sentence


class SilentFeed:
    """No frame at all came on the lane."""

    name, severity, unit = "silent_feed", "high", "s"

    def __init__(self, venue: str, parameters: Parameters) -> None:
        self.venue = venue
        self.parameters = parameters
        self.limit_ns = exact(parameters["limit_s"]) * NS

    def see(self, recv_ts: int, last_frame: int, why: int) -> list[Finding]:
        silence = recv_ts - last_frame
        if silence < self.limit_ns:
            return []
        limit_s = self.parameters["limit_s"]
        return [
            Finding(
                direction=None,
                observed=float(silence) / 1e9,
                threshold=float(limit_s),
                reference_price=None,
                reference_ts=last_frame,
                gap_since=0,
                explain=lambda: silence_sentence(self.venue, silence, limit_s, why),
            )
        ]


class TapeGap:
    """Trade ids were skipped."""

    name, severity, unit = "tape_gap", "high", "trades"

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def see(self, first: int, last: int) -> list[Finding]:
        return [
            Finding(
                direction=None,
                observed=float(last - first + 1),
                threshold=1.0,
                reference_price=None,
                reference_ts=None,
                gap_since=0,
                explain=lambda: missing_sentence(first, last),
            )
        ]


class BlindFeed:
    """The venue trades and nothing gets through."""

    name, severity, unit = "blind_feed", "high", "s"

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        self.symbol = symbol
        self.parameters = parameters
        self.limit_ns = exact(parameters["limit_s"]) * NS

    def see(self, recv_ts: int, since: int, why: int) -> list[Finding]:
        if since <= 0 or recv_ts - since < self.limit_ns:
            return []
        limit_s, blind = self.parameters["limit_s"], recv_ts - since
        return [
            Finding(
                direction=None,
                observed=float(blind) / 1e9,
                threshold=float(limit_s),
                reference_price=None,
                reference_ts=since,
                gap_since=0,
                explain=lambda: blind_sentence(self.symbol, blind, limit_s, why),
            )
        ]


class NewNumbering:
    """The venue numbers its trades anew."""

    name, severity, unit = "new_numbering", "high", "times"

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        self.symbol = symbol
        self.parameters = parameters

    def see(self, first: int, last: int) -> list[Finding]:
        return [
            Finding(
                direction=None,
                observed=1.0,
                threshold=1.0,
                reference_price=None,
                reference_ts=None,
                gap_since=0,
                explain=lambda: anew_sentence(self.symbol, first, last),
            )
        ]
