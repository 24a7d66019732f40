"""What a template may use: frozen values of plain texts, which each format escapes on its own."""

from msgspec import Struct

from tapewatch.alert import MessageKind
from tapewatch.model import Anomaly


class Fact(Struct, frozen=True):
    """One fact: "Reached", "4× the limit at 14:58:03, 32× at 14:58:12".

    Attributes
    ----------
    label
        A word or two; with `text` behind it, it reads as a sentence.
    """

    label: str
    text: str


class Item(Struct, frozen=True):
    """One anomaly as a message tells it: as it stood last. Every text is plain; "" where there is nothing to say.

    Attributes
    ----------
    name
        "DOGE-USD"; "DOGE-USD on kraken" in a message about several venues; "10 symbols" for one silence on all of them.
    symbol, venue
        As the venue calls them.
    rule
        "Fast move".
    severity, shape
        "High" and its "◆".
    arrow
        "▼", "▲", "‖" for a feed, "✓" for what is over; twice where it has escalated.
    what
        "fell 8.31 % in 6 s", "stands 1.20 % above its 60 s average", "silent for 20 s", "misses 7 trades".
    size
        How large it became: "−8.31 %", "−141.03 USDC (0.12 %)", "20 s silent", "7 trades missing".
    move
        The same in percent, so that rows compare.
    pace
        "in 6 s", "in under 1 s"; "from its 60 s average".
    reference, price
        From where and to where, at its largest: "0.24864", "0.22798".
    ratio
        "33×": how many times its limit.
    limit
        "0.25 % in 10 s".
    opened, peaked, ended
        Times in UTC, "14:58:01"; with the date where it is not the message's.
    explain
        The sentence of its opening, exactly as it is stored.
    sentence
        How it stands: that sentence, or what it has become since.
    reached
        "4× the limit at 14:58:03, 32× at 14:58:12": when it escalated after its opening.
    state
        "open" or "over".
    held
        "4 min, 1,412 trades over the limit".
    quality
        "trades are missing in what it was compared with"; "" when the data were complete.
    link
        Its address in the dashboard.
    line
        "Dollar jump: fell 141.03 USDC (0.12 %) in 3.7 s, 4.7× its limit".
    tail
        "Fast move, 2 more, over": what ends a line of a list.
    count
        How many anomalies stand behind a line of a list: of the same symbol, or of one silence.
    also
        Further large moves behind that line: "also +9.56 % at 21:22:10".
    total
        How far the event has carried its symbol: "since 20:50 in all −31.24 %, at most −44.90 % at 21:21"; of
        the largest few in a list.
    anomaly
        The record itself, with all its numbers.
    """

    name: str
    symbol: str
    venue: str
    rule: str
    severity: str
    shape: str
    arrow: str
    what: str
    size: str
    move: str
    pace: str
    reference: str
    price: str
    ratio: str
    limit: str
    opened: str
    peaked: str
    ended: str
    explain: str
    sentence: str
    reached: str
    state: str
    held: str
    quality: str
    link: str
    line: str
    tail: str
    count: int
    also: str
    total: str
    anomaly: Anomaly


class Tally(Struct, frozen=True):
    """How many anomalies of one severity there are: "◆", "High", 12."""

    shape: str
    severity: str
    count: int


class Page(Struct, frozen=True):
    """What a template may use. Every text is plain; "" where there is nothing to say.

    Attributes
    ----------
    kind
        "symbol", "market", "digest", "sample", or "health", whose note is all that it says.
    channel
        Name of the channel.
    subject
        What fits on a lock screen: "▼ DOGE-USD fell 0.52 % in 8 s".
    note
        A sentence to stand in front.
    update
        Whether it goes on with an earlier message.
    date
        "2025-10-10", in UTC.
    since, until
        Time of its first and of its last alert, "14:58:01" in UTC; of a digest the hours or minutes that it covers,
        "14:00", with their dates where they are of several days.
    venues
        "coinbase", "coinbase and kraken", "3 venues".
    lead
        The anomaly to tell first; none in a sample.
    facts
        Of the lead: what its sentence leaves out.
    others
        Further anomalies of the lead's symbol, the worst first; `others_more` says how many were left off.
    rows
        One item per symbol, the largest first, where there are several; `rows_more` says how many were left off.
    earlier
        Symbols that the event's earlier messages told of: "ADA-USD, BCH-USD and 7 more".
    symbols, anomalies
        How many there are in all.
    tally
        The anomalies by severity, the worst first.
    total
        Of several symbols: how far the event has carried the market.
    held, held_rows
        What was held back since the last message: "34 held back since 21:20:04"; and the largest of it.
    link
        Of the lead in the dashboard; of the dashboard in a digest; "" where no address of it is set.
    named
        Every anomaly whose figures stand in the message.
    """

    kind: MessageKind
    channel: str
    subject: str
    note: str
    update: bool
    date: str
    since: str = ""
    until: str = ""
    venues: str = ""
    lead: Item | None = None
    others: tuple[Item, ...] = ()
    others_more: int = 0
    facts: tuple[Fact, ...] = ()
    rows: tuple[Item, ...] = ()
    rows_more: int = 0
    earlier: str = ""
    symbols: int = 0
    anomalies: int = 0
    tally: tuple[Tally, ...] = ()
    total: str = ""
    held: str = ""
    held_rows: tuple[Item, ...] = ()
    link: str = ""
    named: tuple[Anomaly, ...] = ()
