"""A market of three symbols in a database, and the terminal's screen over it with a clock that stands still."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from support.telling import telling
from support.views import BTC, NOW, anomaly, bars_of, build, clock, feed_row, opened, silence
from tapewatch.model import NS, PRICE_SCALE, Anomaly, Bars, Lane
from tapewatch.store.records import Commit
from tapewatch.store.sql import Reader, Store
from tapewatch.view.terminal.app import Top
from tapewatch.view.terminal.palette import DARK, Palette
from tapewatch.view.terminal.picture import Ask
from tapewatch.view.terminal.wishes import Request

ETH = Lane("coinbase", "ETH-USD")
SOL = Lane("coinbase", "SOL-USD")
LAST_PRICES = {BTC: 114_210.0, ETH: 4_123.4, SOL: 212.5}
CALM_S, CRASH_S = 3_000, 600


def walk(last: float) -> list[float]:
    """Make an hour of closes, one every ten seconds: zigzag, a fall by 5 %, half of it recovered; it ends at `last`."""
    shape = [0.002 * ((i * 7) % 13 - 6) / 6 for i in range(CALM_S // 10)]
    fall, back = CRASH_S // 20, CRASH_S // 10 - CRASH_S // 20
    shape += [-0.05 * (i + 1) / fall for i in range(fall)]
    shape += [-0.05 + 0.025 * (i + 1) / back for i in range(back)]
    return [round(last * (1 + part) / (1 + shape[-1]), 2) for part in shape]


def market_bars(lane: Lane) -> list[Bars]:
    """Make the lane's bars of 10 s and 60 s, and of its last minute by the second."""
    closes, now = walk(LAST_PRICES[lane]), NOW // NS
    first = now - now % 10 - CALM_S - CRASH_S + 10
    tens = [first + 10 * i for i in range(len(closes))]
    minutes = {start - start % 60: close for start, close in zip(tens, closes, strict=True)}
    return [
        bars_of(lane, 10, tens, closes),
        bars_of(lane, 60, list(minutes), list(minutes.values())),
        bars_of(lane, 1, list(range(now - 59, now + 1)), [closes[-1]] * 60),
    ]


REFERENCES = {"BTC-USD": 116_480.1, "ETH-USD": 4_304.25, "SOL-USD": 212.61}


def market_anomalies() -> list[Anomaly]:
    """Make what the crash would be told as: every severity, both ways, open and ended."""

    def of(ident: str, symbol: str, ago_s: float, happened: str, **fields: object) -> Anomaly:
        reference = REFERENCES[symbol]
        plain = {"peak_reference_price": reference, "reference_price": reference}
        if "unit" not in fields:
            plain["peak_price"] = round(reference * (1 + fields["peak_observed"] / 100), 2)
        return anomaly(ident, ago_s=ago_s, symbol=symbol, explain=f"{symbol} {happened}", **plain | fields)

    def quote(limit: float, peak: float, reference: float) -> dict[str, object]:
        plain = {"unit": "USD", "threshold": limit, "peak_observed": peak}
        return plain | {"peak_reference_price": reference, "peak_price": reference + peak}

    fell = "fell 0.31 % in 4.2 s, from 116,480.10 to 116,119.01 (limit 0.25 % in 10 s)"
    rose = "rose 0.27 % in 9.1 s, from 111,281.54 to 111,582.00 (limit 0.25 % in 10 s)"
    vol, mean, medium = "vol_breakout", "mean_reversion_break", {"severity": "medium"}
    return [
        of("fast-1", "BTC-USD", 500, fell, held_s=140, peak_observed=-2.4, peak_price=113_684.58),
        of("fast-2", "BTC-USD", 280, rose, held_s=270, ended=False, peak_observed=1.1, direction="up"),
        of(
            "jump-1",
            "BTC-USD",
            495,
            "fell 31.20 in 3.0 s (limit 30.00)",
            rule="abs_jump",
            **quote(30, -610.0, 115_900.0),
        ),
        of(
            "vol-1",
            "BTC-USD",
            480,
            "fell 45.10 below the last second's 115,602.00",
            rule=vol,
            **medium,
            **quote(15, -45.1, 115_602),
        ),
        of(
            "mean-1",
            "BTC-USD",
            460,
            "stands 96.00 below its mean",
            severity="low",
            rule=mean,
            **quote(60, -96.0, 115_100.0),
        ),
        of(
            "eth-1",
            "ETH-USD",
            470,
            "fell 0.40 % in 8.0 s (limit 0.25 % in 10 s)",
            held_s=400,
            ended=False,
            peak_observed=-4.2,
        ),
        of(
            "sol-1",
            "SOL-USD",
            30,
            "fell 0.27 below the last second's 212.61",
            ended=False,
            rule=vol,
            **medium,
            **quote(0.25, -0.6, 212.61),
        ),
        of("old-1", "SOL-USD", 7_200, "fell 0.25 % in 9.9 s (limit 0.25 % in 10 s)", peak_observed=-0.25),
    ]


def market(path: Path, *, frame_ago_s: float = 0.4, silent: bool = False, **feed: object) -> Reader:
    """Store the market; its feed is live unless told otherwise."""
    anomalies = market_anomalies()
    if silent:
        anomalies += [silence(f"silent-{lane.symbol}", lane.symbol, ago_s=42) for lane in LAST_PRICES]
    rows = [
        feed_row(
            lane,
            last_price=round(price * PRICE_SCALE),
            last_frame_ts=NOW - round(frame_ago_s * NS),
            **feed,
        )
        for lane, price in LAST_PRICES.items()
    ]
    bars = [each for lane in LAST_PRICES for each in market_bars(lane)]
    timed = clock(latency_p50_ms=61.0, latency_p99_ms=148.0)
    return build(path, Commit(timed, changes=opened(*anomalies), bars=bars, feed=rows))


def calm(path: Path) -> Reader:
    """Store a market in which nothing happened."""
    rows = [feed_row(lane, last_price=round(price * PRICE_SCALE)) for lane, price in LAST_PRICES.items()]
    return build(path, Commit(clock(), bars=[each for lane in LAST_PRICES for each in market_bars(lane)], feed=rows))


def add(path: Path, *anomalies: Anomaly) -> None:
    """Store more anomalies, as the runtime does while somebody looks."""
    with_changes = Commit(clock(), changes=opened(*anomalies))
    store = Store.open(path)
    store.commit(with_changes)
    store.close()


def alerted(path: Path) -> Reader:
    """Store the market, and what was told of it: every outcome, a channel that fails, silences, marks."""
    reader = market(path)
    with telling(path) as told:
        told.send("phone", "fast-1")
        told.send("phone", "fast-2", "eth-1", outcomes=("HTTP 503: busy", "accepted"))
        told.send("desk", "vol-1", outcomes=("HTTP 401: bad token", "HTTP 401: bad token"))
        told.judge(
            "jump-1", "phone", "cooling", "muted until 22:24 or a move above 240.00 USD: last sent 21:24 at 4.0×"
        )
        told.judge("mean-1", "desk", "silenced", "silenced by silence 1 (BTC-*) until 22:32:48: listing day")
        told.judge("sol-1", "phone", "unrouted", "medium: this channel takes high severity only")
        told.wait("sol-1", "desk", "over the budget: for the digest of 22:00")
        told.silence(-60, 3_600, symbol="BTC-*", note="listing day")
        told.silence(600, 4_200, rule="tape_gap")
        told.silence(-7_200, -3_600, symbol="OLD-*")
        told.mark("fast-1", "true", "checked with the venue")
        told.mark("vol-1", "expected")
    return reader


def screen(
    reader: Reader,
    ask: Ask | None = None,
    wall: Callable[[], int] = lambda: NOW,
    palette: Palette = DARK,
    request: Request | None = None,
) -> Top:
    """Make the screen; it looks when it is told to, for its timer is slower than any test."""
    return Top(reader, ask=ask or Ask(), clock=wall, hz=0.001, palette=palette, request=request)


async def settle(pilot: Pilot[None]) -> None:
    """Wait until everything that was asked for has been read and drawn."""
    await pilot.pause()
    while pilot.app.workers:
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


@asynccontextmanager
async def running(reader: Reader, size: tuple[int, int] = (144, 42), **kwargs: object) -> AsyncIterator[Pilot[None]]:
    """Run the screen until it has drawn its first picture."""
    app = screen(reader, **kwargs)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        yield pilot


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, each after what the one before asked for has been drawn."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def text_of(pilot: Pilot[None], panel: str | None = None) -> str:
    """Read the screen, or one panel of it with its border, as plain lines."""
    app = pilot.app
    region = app.size.region if panel is None else app.screen.query_one(f"#{panel}").region
    lines = [strip.crop(region.x, region.right).text for strip in app.screen._compositor.render_strips()]
    return "\n".join(line.rstrip() for line in lines[region.y : region.bottom])
