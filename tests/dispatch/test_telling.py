from msgspec.structs import asdict

from support.letters import AT, DASHBOARD, dollar_jump, fast_move, gap, grown, message, over, silence, stretch
from tapewatch.alert import Began, HeldBack
from tapewatch.dispatch.fields import Fact, Item, Page, Tally
from tapewatch.dispatch.telling import HELD_MAX, NAMES_MAX, OTHERS_MAX, ROWS_MAX, page
from tapewatch.dispatch.totals import Span
from tapewatch.model import NS


def test_every_field_is_described():
    for struct in (Page, Item):
        described = {name for line in (struct.__doc__ or "").splitlines() for name in line.strip().split(", ")}
        assert set(struct.__struct_fields__) <= described | {"others_more", "rows_more"}
    assert "`others_more`" in (Page.__doc__ or "")
    assert "`rows_more`" in (Page.__doc__ or "")


def test_every_text_is_text():
    for struct in (page(message("symbol", gap()), ""), page(message("symbol", gap()), "").lead):
        assert not [name for name, value in asdict(struct).items() if value is None]


def test_an_anomaly_is_told_once_as_it_stood_last():
    told = page(message("symbol", fast_move(), grown()), DASHBOARD)
    assert (told.anomalies, told.others) == (1, ())
    assert told.lead is not None
    assert told.lead.anomaly == grown()
    assert told.link == f"{DASHBOARD}/?anomaly=coinbase-DOGE-USD-fast"


def test_further_anomalies_of_the_symbol_stand_behind_the_lead_up_to_a_number():
    others = [stretch("A", id=str(number)) for number in range(OTHERS_MAX + 3)]
    told = page(message("symbol", *others, dollar_jump()), "")
    assert told.lead is not None
    assert told.lead.rule == "Dollar jump"
    assert (len(told.others), told.others_more) == (OTHERS_MAX, 3)


def test_symbols_are_listed_up_to_a_number_and_counted_in_all():
    rows = [grown(f"C{number:02}", -number) for number in range(1, ROWS_MAX + 6)]
    told = page(message("market", *rows, stretch("C01")), "")
    assert [row.name for row in told.rows[:2]] == ["C17", "C16"]
    assert (len(told.rows), told.rows_more) == (ROWS_MAX, 5)
    assert (told.symbols, told.anomalies) == (ROWS_MAX + 5, ROWS_MAX + 6)
    assert told.lead == told.rows[0]


def test_one_silence_is_one_row():
    rows = [silence(f"C{number:02}") for number in range(NAMES_MAX + 2)]
    told = page(message("market", *rows), "")
    (row,) = told.rows
    assert (row.name, row.count, row.tail) == ("14 symbols", 14, "Silent feed")
    assert told.facts[-1] == Fact("Symbols", f"{', '.join(each.symbol for each in rows[:NAMES_MAX])} and 2 more")


def test_names_have_their_venue_where_there_are_several():
    told = page(message("market", grown(), grown(venue="kraken")), "")
    assert {row.name for row in told.rows} == {"DOGE-USD on coinbase", "DOGE-USD on kraken"}
    assert told.venues == "coinbase and kraken"


def test_facts_say_what_the_sentence_leaves_out():
    def facts(anomaly):
        return {fact.label: fact.text for fact in page(message("symbol", anomaly), "").facts}

    assert facts(fast_move()) == {"Opened": "14:58:01 UTC, 2.1× the limit"}
    assert facts(gap()) == {"Opened": "14:58:01 UTC"}
    assert facts(silence())["Last frame"] == "14:57:56 UTC"
    assert facts(over(grown(quality="late"))) == {
        "Note": "the trade came more than 10 s after it happened",
        "Opened": "14:58:01 UTC: DOGE-USD fell 0.52 % within 8.2 s, from 0.24864 to 0.24735 (limit 0.25 % in 10 s)",
        "Reached": "8× the limit at 14:58:03, 32× at 14:58:12",
        "Lasted": "4 min, 1,412 trades over the limit",
        "Over since": "15:02:01 UTC",
    }


def test_a_digest_counts_by_severity_and_leads_to_the_dashboard():
    told = page(message("digest", grown(), dollar_jump(), stretch()), DASHBOARD)
    assert told.tally == (Tally("◆", "High", 2), Tally("○", "Low", 1))
    assert told.link == DASHBOARD


def test_a_sample_says_what_it_is():
    told = page(message("sample", at=AT), DASHBOARD)
    assert (told.subject, told.lead) == ("A sample from tapewatch: this channel works", None)


def test_what_was_held_back_is_counted_and_its_largest_are_named():
    largest = tuple(fast_move(f"C{number}", size=9.0 - number) for number in range(HELD_MAX + 2))
    told = page(message("symbol", grown(), held=HeldBack(AT - 60 * NS, 34, 0, largest)), "")
    assert told.held == "34 held back since 14:57:01"
    assert [row.name for row in told.held_rows] == ["C0", "C1", "C2", "C3", "C4"]
    silent = page(message("symbol", grown(), held=HeldBack(AT - 86_400 * NS, 1_234, 2, ())), "")
    assert (silent.held, silent.held_rows) == ("1,234 held back since 03-01 14:58:01, 2 of them silenced", ())
    assert page(message("symbol", grown()), "").held == ""


def test_every_figure_of_a_message_is_of_an_anomaly_that_is_named():
    held = HeldBack(AT, 1, 0, (fast_move("HELD"),))
    hidden = [stretch("DOGE-USD", id=f"n{number}", size=1.0) for number in range(3)]
    rebound = grown(id="rebound", direction="up", peak_observed=4.1, size=16.4)
    told = page(message("market", grown(size=33.0), rebound, *hidden, grown("ENA-USD", -3.0, size=12.0), held=held), "")
    assert {each.id for each in told.named} == {
        "coinbase-DOGE-USD-fast",
        "rebound",
        "coinbase-ENA-USD-fast",
        "coinbase-HELD-fast",
    }
    assert told.rows[0].also == "also +4.10 % at 14:58:12"


def test_what_is_one_move_by_two_rules_is_said_once():
    slide = grown(id="slide", rule="slow_move", size=4.0)
    further = grown(id="further", peak_observed=-9.0, size=36.0)
    told = page(message("market", further, slide, grown(size=33.0), grown("ENA-USD", -3.0, size=12.0)), "")
    assert told.rows[0].also == "also −8.31 % at 14:58:12"
    assert {"slide", "further", "coinbase-DOGE-USD-fast"} <= {each.id for each in told.named}


def test_the_total_of_an_event_stands_beside_each_symbol_and_above_several():
    def spans(lane, since, until):
        assert (since, until) == (AT - 600 * NS, max(AT + 11 * NS, AT))
        low = {"coinbase:DOGE-USD": 0.9, "coinbase:ENA-USD": 0.55}[lane]
        return Span(low, AT - 60 * NS, 1.0, AT - 600 * NS, low + 0.05)

    began = {f"coinbase:{symbol}": Began(AT - 600 * NS, 1.0) for symbol in ("DOGE-USD", "ENA-USD")}
    alone = page(message("symbol", grown(), began={"coinbase:DOGE-USD": began["coinbase:DOGE-USD"]}), "", spans)
    assert alone.facts[-1] == Fact("Since", "14:48:01: now −5.00 %, at most −10.00 % at 14:57:01")
    assert alone.total == ""
    told = page(message("market", grown(), grown("ENA-USD"), began=began), "", spans)
    assert told.total == (
        "since 14:48:01: the median of 2 symbols is −22.50 % now; ENA-USD went furthest, −45.00 % at 14:57:01"
    )
    assert {row.name: row.total for row in told.rows} == {
        "DOGE-USD": "since 14:48 in all −5.00 %, at most −10.00 % at 14:57",
        "ENA-USD": "since 14:48 in all −40.00 %, at most −45.00 % at 14:57",
    }


def test_what_has_grown_without_a_change_is_told_as_what_happened():
    told = page(message("symbol", at=AT + 60 * NS, grown=(grown(),)), "")
    assert told.subject == "▼▼ DOGE-USD now −8.31 %, 33× the limit"
    assert told.lead is not None
    assert (told.since, told.until, told.anomalies) == ("14:58:12", "14:58:12", 1)
