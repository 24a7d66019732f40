"""Of which symbols nobody can tell whether they are within their limits: a `Status` in, a few words each out."""

from functools import cache

from tapewatch.detect.rules import RULES as RULE_TABLE
from tapewatch.detect.rules import RuleBook
from tapewatch.figures import duration
from tapewatch.model import NS
from tapewatch.view.status import Status, lane_word
from tapewatch.words import RULES


def untold(now: Status) -> dict[str, str]:
    """Say of which symbols nobody can tell whether they are within their limits, and why: symbol → a few words."""
    found = {}
    for row in now.feed:
        word = lane_word(row, now.now_ns, now.silent, running=now.running, replay=now.replay)
        since = row.blind_ts if word == "blind" else row.last_frame_ts
        lasted = f" for {duration(max(0, now.now_ns - since) / NS)}" if since is not None else ""
        off = [RULES.get(rule, rule).lower() for rule in _usual(row.symbol) if rule not in row.armed]
        if word == "blind":
            found[row.symbol] = f"blind{lasted}"
        elif word == "no data":
            found[row.symbol] = f"no data{lasted}"
        elif word in ("stale", "reconnecting") and now.state not in ("stale", "reconnecting"):
            found[row.symbol] = f"no frame{lasted}"
        elif not row.trades:
            found[row.symbol] = "no trade yet"
        elif off:
            found[row.symbol] = f"without {' and '.join(off)}"
        elif row.warming:
            found[row.symbol] = "warming up"
    return found


@cache
def _usual(symbol: str) -> tuple[str, ...]:
    # A rule that is off there by default leaves nothing out: its limit would mean nothing on that symbol.
    book = RuleBook.default()
    return tuple(rule.name for rule in RULE_TABLE if rule.kind == "market" and book.params(rule, symbol) is not None)
