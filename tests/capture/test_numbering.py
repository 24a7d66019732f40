"""Ids that cannot be wait for a heartbeat, and a new numbering is recognised: trades in, rows and what is left out."""

from support.ledgers import Left, trade, words
from tapewatch.capture.completeness import Completeness
from tapewatch.capture.numbering import LEAP_MAX, NAMED_LEAP_MAX, UNSAID_LEAP_MAX
from tapewatch.model import NS, NUMBERING

T = 1_000 * NS


def lane_at(trade_id: int) -> Completeness:
    """Return a lane whose last trade was `trade_id`."""
    ledger = Completeness(lane=3)
    ledger.trade(trade(trade_id, T))
    return ledger


def leap_of(ahead: int) -> Completeness:
    """Return a lane at 1000 to which a trade came whose id is so far ahead."""
    ledger = lane_at(1000)
    ledger.heartbeat(1000, T, T)
    assert ledger.trade(trade(1000 + ahead, T + 1)) == []
    return ledger


def test_a_leap_waits_for_a_heartbeat_and_costs_the_good_trades_nothing() -> None:
    ledger = leap_of(500_000_000)
    for n in range(1001, 1011):
        assert words(ledger.trade(trade(n, T + n))) == [f"TRADE {n}"]
    assert ledger.heartbeat(1010, T + NS, T + NS) == []
    assert ledger.due(T + 3 * NS) == []
    assert ledger.due(T + 3 * NS + 1) == []
    (one,) = ledger.unconfirmed
    assert one.row[2] == 500_001_000
    assert words(ledger.trade(trade(1011, T + 4 * NS))) == ["TRADE 1011"]
    assert ledger.duplicates == 0


def test_a_hundred_ids_may_be_skipped_at_once_and_one_more_wants_a_word() -> None:
    assert words(lane_at(1000).trade(trade(1000 + UNSAID_LEAP_MAX, T))) == ["GAP 1001-1099", "TRADE 1100"]
    ledger = leap_of(UNSAID_LEAP_MAX + 1)
    assert words(ledger.heartbeat(1101, T + NS, T + NS)) == ["GAP 1001-1100", "TRADE 1101"]


def test_an_outage_of_a_day_is_a_gap_as_soon_as_trades_and_a_heartbeat_agree() -> None:
    ledger = leap_of(600_000)
    assert ledger.trade(trade(601_001, T + 2)) == []
    assert not ledger.believes_beat(602_000 + NAMED_LEAP_MAX), "a heartbeat so far ahead says nothing of these trades"
    assert ledger.believes_beat(601_001)
    rows = ledger.heartbeat(601_001, T + NS, T + NS)
    assert words(rows) == ["GAP 1001-600999", "TRADE 601000", "TRADE 601001"]
    assert [row[1] for row in rows] == [T + 1, T + 1, T + 2], "each keeps the time when it came"


def test_a_heartbeat_that_leaps_confirms_the_trade_that_comes_next() -> None:
    ledger = lane_at(1000)
    assert not ledger.believes_beat(601_000)
    ledger.heard(601_000, T)
    assert words(ledger.trade(trade(601_001, T + 1))) == ["GAP 1001-601000", "TRADE 601001"]


def restarted(lowest: int = 1, highest: int = 5_000) -> Completeness:
    """Return a lane whose venue began to number anew; the first heartbeat has said so."""
    ledger = lane_at(highest)
    ledger.heartbeat(highest, T, T)
    for n in range(lowest, lowest + 3):
        assert ledger.trade(trade(n, T + n)) == []
    assert ledger.heartbeat(lowest + 2, T + NS, T + NS) == []
    return ledger


def test_a_new_numbering_that_two_heartbeats_confirm_is_an_epoch_and_loses_nothing() -> None:
    ledger = restarted()
    ledger.trade(trade(4, T + NS + 5))
    rows = ledger.heartbeat(4, T + 2 * NS, T + 2 * NS)
    first = NUMBERING + 1
    assert words(rows) == [f"EPOCH {first}", *(f"TRADE {NUMBERING + n}" for n in (1, 2, 3, 4))]
    assert (rows[0][1], rows[0][6]) == (T + 2 * NS, 5_000)
    assert ledger.epochs == [first]
    assert words(ledger.trade(trade(5, T + 3 * NS))) == [f"TRADE {NUMBERING + 5}"]
    assert ledger.duplicates == 0
    assert ledger.clock(T + 3 * NS)[3] == 0, "all is well"


def test_gaps_of_a_new_numbering_and_after_a_restart_are_of_that_numbering() -> None:
    left = Left(NUMBERING + 5, ((NUMBERING + 2, NUMBERING + 3),), ts=T)
    ledger = Completeness(0, left)
    assert words(ledger.start(T)) == [f"GIVEN_UP {NUMBERING + 2}-{NUMBERING + 3}"]
    rows = ledger.trade(trade(8, T + 1))
    assert words(rows) == [f"GAP {NUMBERING + 6}-{NUMBERING + 7}", f"TRADE {NUMBERING + 8}"]
    ledger.trade(trade(7, T + 2))
    assert words(ledger.trade(trade(6, T + 3)))[-1] == f"FILLED {NUMBERING + 6}-{NUMBERING + 7}"
    ledger.heartbeat(9, T, T + NS)
    assert words(ledger.due(T + 3 * NS)) == [f"GAP {NUMBERING + 9}-{NUMBERING + 9}"]


def test_a_new_numbering_after_a_restart_of_ours_is_known_by_its_times() -> None:
    ledger = Completeness(0, Left(5_000, (), ts=T))
    assert ledger.trade(trade(3, T + 1, ts=T + 1)) == []
    ledger.heartbeat(3, T, T + NS)
    assert words(ledger.heartbeat(3, T, T + 2 * NS)) == [f"EPOCH {NUMBERING + 3}", f"TRADE {NUMBERING + 3}"]


def test_old_trades_that_are_told_again_are_no_new_numbering() -> None:
    ledger = lane_at(5_000)
    for second in range(1, 9):
        assert ledger.trade(trade(second, T + second * NS, ts=second)) == []
        assert ledger.heartbeat(second, T, T + second * NS) == []
    assert ledger.duplicates == 8


def test_one_frame_whose_id_is_too_low_is_no_new_numbering() -> None:
    ledger = lane_at(5_000)
    ledger.heartbeat(5_000, T, T)
    ledger.trade(trade(4_990, T + 1))
    for second in range(1, 9):
        assert ledger.heartbeat(5_000, T, T + second * NS) == [], "the venue has traded no more since"
    assert ledger.duplicates == 1


def test_a_trade_of_the_old_numbering_says_that_there_is_no_new_one() -> None:
    ledger = restarted()
    assert words(ledger.trade(trade(5_001, T + NS + 1))) == ["TRADE 5001"]
    assert ledger.heartbeat(4, T + 2 * NS, T + 2 * NS) == []
    ledger.due(T + 5 * NS)
    assert ledger.duplicates == 3


def test_ids_beyond_any_gap_are_a_new_numbering_too() -> None:
    ledger = leap_of(LEAP_MAX + 1)
    assert ledger.heartbeat(1001 + LEAP_MAX, T, T + NS) == []
    epoch, row = ledger.heartbeat(1001 + LEAP_MAX, T, T + 2 * NS)
    assert words([epoch, row]) == [f"EPOCH {row[2]}", f"TRADE {NUMBERING + 1001 + LEAP_MAX}"]


def test_an_epoch_gives_up_the_gaps_of_the_old_numbering() -> None:
    ledger = lane_at(5_000)
    ledger.trade(trade(5_003, T))
    ledger.trade(trade(1, T + 1))
    ledger.heartbeat(1, T, T + NS)
    rows = ledger.heartbeat(1, T, T + 2 * NS)
    assert words(rows) == ["GIVEN_UP 5001-5002", f"EPOCH {NUMBERING + 1}", f"TRADE {NUMBERING + 1}"]
