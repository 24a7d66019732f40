"""The ledger of trade ids: one example for each step of its procedure, then the laws that hold for any feed."""

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from support.ledgers import Left, Tape, trade, words
from tapewatch.capture.completeness import GAPS_MAX, Completeness
from tapewatch.capture.numbering import NEVER_NS, UNSAID_LEAP_MAX
from tapewatch.model import NS, Cause, Kind, RowTuple

T = 1_000 * NS


def lane_at(trade_id: int, at_ns: int = T) -> Completeness:
    """Return a lane whose last trade was `trade_id`."""
    ledger = Completeness(lane=3)
    ledger.trade(trade(trade_id, at_ns))
    return ledger


def test_the_first_trade_of_a_virgin_lane_opens_no_gap() -> None:
    ledger = Completeness(lane=0)
    assert words(ledger.trade(trade(900, T))) == ["TRADE 900"]
    assert ledger.due_ns == NEVER_NS


def test_a_heartbeat_before_the_first_trade_opens_no_gap_either() -> None:
    ledger = Completeness(lane=0)
    assert ledger.heartbeat(899, T, T) == []
    assert ledger.due(T + 3 * NS) == []
    assert words(ledger.trade(trade(902, T + 4 * NS))) == ["TRADE 902"]


def test_trades_in_order_pass_untouched() -> None:
    ledger = lane_at(10)
    row = trade(11, T + 1)
    assert ledger.trade(row) == [row]


def test_a_jump_is_a_gap_before_the_trade_that_revealed_it() -> None:
    ledger = lane_at(10)
    revealed = trade(15, T + 5)
    gap, row = ledger.trade(revealed)
    assert gap == (0, T + 5, 11, 0, 0, 0.0, 14, 3, int(Kind.GAP), 0, 0)
    assert row == revealed


def test_stragglers_go_out_together_in_order_when_the_last_one_is_there() -> None:
    ledger = lane_at(10)
    ledger.trade(trade(14, T))
    assert ledger.trade(trade(13, T + 1)) == []
    assert ledger.trade(trade(11, T + 2)) == []
    rows = ledger.trade(trade(12, T + 3))
    assert words(rows) == ["LATE 11", "LATE 12", "LATE 13", "FILLED 11-13"]
    assert [row[1] for row in rows] == [T + 2, T + 3, T + 1, T + 3], "each keeps the time when it came"
    assert rows[0][:8] == trade(11, T + 2)[:8], "a LATE row is its trade but for the kind"
    assert ledger.due_ns == NEVER_NS


def test_a_gap_is_given_up_after_thirty_seconds_with_what_came_of_it() -> None:
    ledger = lane_at(10)
    ledger.trade(trade(14, T))
    ledger.trade(trade(12, T + 29 * NS))
    assert ledger.due(T + 30 * NS - 1) == []
    assert words(ledger.due(T + 30 * NS)) == ["LATE 12", "GIVEN_UP 11-13"]


def test_a_straggler_of_a_gap_that_was_given_up_is_a_duplicate() -> None:
    ledger = lane_at(10)
    ledger.trade(trade(12, T))
    ledger.due(T + 30 * NS)
    assert ledger.trade(trade(11, T + 31 * NS, ts=T - 2)) == []
    assert ledger.duplicates == 1


def test_what_is_due_goes_before_the_trade_that_comes_then() -> None:
    ledger = lane_at(10)
    ledger.trade(trade(12, T))
    assert words(ledger.trade(trade(13, T + 30 * NS))) == ["GIVEN_UP 11-11", "TRADE 13"]


@pytest.mark.parametrize("again", [10, 9, 1])
def test_an_id_that_is_not_above_the_highest_is_dropped_and_counted(again: int) -> None:
    ledger = lane_at(10)
    assert ledger.trade(trade(again, T + 1, ts=T - 1)) == []
    assert ledger.duplicates == 1


def test_a_straggler_told_twice_is_a_duplicate() -> None:
    ledger = lane_at(10)
    ledger.trade(trade(13, T))
    ledger.trade(trade(11, T))
    assert ledger.trade(trade(11, T)) == []
    assert ledger.duplicates == 1
    assert words(ledger.trade(trade(12, T))) == ["LATE 11", "LATE 12", "FILLED 11-12"]


def test_an_id_that_only_a_heartbeat_named_is_a_gap_after_two_seconds() -> None:
    ledger = lane_at(10)
    assert ledger.heartbeat(13, T, T) == []
    assert ledger.due_ns == T + 2 * NS
    assert ledger.due(T + 2 * NS - 1) == []
    assert words(ledger.due(T + 2 * NS)) == ["GAP 11-13"]
    assert words(ledger.trade(trade(14, T + 3 * NS))) == ["TRADE 14"]


def test_an_id_that_comes_in_time_is_no_gap() -> None:
    ledger = lane_at(10)
    ledger.heartbeat(11, T, T)
    ledger.trade(trade(11, T + NS))
    assert ledger.due(T + 5 * NS) == []


def test_each_heartbeat_waits_its_own_two_seconds() -> None:
    ledger = lane_at(10)
    for second, last_id in enumerate((11, 11, 12, 15)):
        ledger.heartbeat(last_id, T, T + second * NS)
    # The second 11 says nothing new, so it waits for nobody; 12 came at 2 s, 15 at 3 s.
    assert words(ledger.due(T + 4 * NS)) == ["GAP 12-12"]
    assert words(ledger.due(T + 5 * NS)) == ["GAP 13-15"]


def test_heartbeats_in_a_flood_are_remembered_within_bounds() -> None:
    ledger = lane_at(10)
    for n in range(1_000):
        ledger.heartbeat(11 + n, T, T + n)
    rows = ledger.due(T + 2 * NS + 1_000)
    assert len(rows) == 64
    assert rows[0][2] == 11
    assert rows[-1][6] == 1_010


def test_at_most_64_gaps_are_open_and_the_oldest_is_given_up_first() -> None:
    ledger = lane_at(0)
    for n in range(1, GAPS_MAX + 1):
        assert words(ledger.trade(trade(2 * n, T + n))) == [f"GAP {2 * n - 1}-{2 * n - 1}", f"TRADE {2 * n}"]
    assert words(ledger.trade(trade(130, T + 99))) == ["GIVEN_UP 1-1", "GAP 129-129", "TRADE 130"]
    assert words(ledger.trade(trade(3, T + 99))) == ["LATE 3", "FILLED 3-3"]


def test_a_restart_closes_open_gaps_and_what_was_missed_is_one() -> None:
    ledger = Completeness(0, Left(highest_id=20, open_gaps=((11, 12), (15, 15))))
    rows = ledger.start(T)
    assert words(rows) == ["GIVEN_UP 11-12", "GIVEN_UP 15-15"]
    assert {row[1] for row in rows} == {T}
    assert ledger.start(T) == []
    assert ledger.trade(trade(12, T)) == []
    assert words(ledger.trade(trade(30, T))) == ["GAP 21-29", "TRADE 30"]


def test_the_first_trade_after_a_restart_can_follow_at_once() -> None:
    ledger = Completeness(0, Left(highest_id=20, open_gaps=()))
    assert words(ledger.trade(trade(20, T)) + ledger.trade(trade(21, T))) == ["TRADE 21"]
    assert ledger.duplicates == 1


def test_a_quarantined_trade_counts_as_seen() -> None:
    ledger = lane_at(10)
    assert ledger.seen(11, T) == []
    assert words(ledger.trade(trade(12, T))) == ["TRADE 12"]


def test_a_quarantined_trade_reveals_what_was_skipped_before_it() -> None:
    ledger = lane_at(10)
    assert words(ledger.seen(13, T)) == ["GAP 11-12"]
    assert words(ledger.trade(trade(14, T))) == ["TRADE 14"]


def test_a_quarantined_straggler_completes_its_gap_without_a_row() -> None:
    ledger = lane_at(10)
    ledger.trade(trade(13, T))
    ledger.trade(trade(12, T))
    assert words(ledger.seen(11, T)) == ["LATE 12", "FILLED 11-12"]


def test_a_quarantined_id_on_a_virgin_lane_decides_nothing() -> None:
    ledger = Completeness(0)
    assert ledger.seen(10**15, T) == []
    assert words(ledger.trade(trade(7, T))) == ["TRADE 7"]


def test_a_good_copy_of_a_quarantined_trade_is_a_duplicate() -> None:
    ledger = lane_at(10)
    ledger.seen(11, T)
    assert ledger.trade(trade(11, T)) == []
    assert ledger.duplicates == 1
    ledger.seen(11, T)
    assert ledger.duplicates == 1, "what goes to quarantine is counted there"


def test_a_spoiled_frame_with_a_far_id_takes_nothing_from_the_good_ones() -> None:
    ledger = lane_at(1000)
    assert ledger.seen(900_000_000, T) == []
    assert words(ledger.trade(trade(1001, T))) == ["TRADE 1001"]
    assert words(ledger.seen(1001 + UNSAID_LEAP_MAX, T)) != []


def test_a_clock_row_says_when_the_lane_was_last_heard() -> None:
    ledger = Completeness(lane=3)
    ledger.started_ns = T
    assert ledger.clock(T + NS) == (0, T + NS, int(Cause.NEVER_CONNECTED), 0, 0, 0.0, T, 3, int(Kind.CLOCK), 0, 0)
    ledger.last_frame_ns = T + NS // 2
    assert ledger.clock(T + 2 * NS)[6] == T + NS // 2


def test_a_clock_row_tells_the_venues_time_once_what_its_heartbeat_named_was_let_go() -> None:
    ledger = lane_at(10)
    ledger.heartbeat(11, 777, T)
    assert ledger.clock(T)[0] == 0
    ledger.trade(trade(11, T))
    assert ledger.clock(T)[0] == 777


def test_a_clock_row_tells_the_venues_time_once_it_stands_in_a_gap() -> None:
    ledger = lane_at(10)
    ledger.heartbeat(11, 777, T)
    ledger.due(T + 2 * NS)
    assert ledger.clock(T + 2 * NS)[0] == 777


def test_a_clock_row_tells_the_venues_time_once_it_went_to_quarantine() -> None:
    ledger = lane_at(10)
    ledger.heartbeat(11, 777, T)
    ledger.seen(11, T)
    assert ledger.clock(T)[0] == 777


def test_the_clock_of_a_virgin_lane_knows_no_venues_time() -> None:
    ledger = Completeness(0)
    ledger.heartbeat(5, 777, T)
    assert ledger.clock(T)[0] == 0


# Laws. An operation is (what, id, seconds to wait before it); ids come from a small range, so that losses, duplicates,
# reordering and quarantine of the same ids meet in every way.
Operation = tuple[str, int, float]

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["trade"] * 6 + ["bad", "beat", "tick", "restart"]),
        st.one_of(st.integers(100, 130), st.integers(100, 400)),
        st.sampled_from([0.0, 0.0, 0.001, 0.5, 2.0, 29.0]),
    ),
    max_size=150,
)
STEADY = OPERATIONS.map(lambda operations: [each for each in operations if each[0] != "restart"])


class Drive:
    """Runs operations on a ledger and has every row checked."""

    def __init__(self, *, nudge: bool = False) -> None:
        self.ledger, self.tape, self.now_ns = Completeness(0), Tape(), T
        self.bad: set[int] = set()  # as far as this ledger can know: a restart forgets those that left no row
        self.ever_bad: set[int] = set()
        self.delivered: list[int] = []
        self.doubted: set[int] = set()  # their ids wanted a heartbeat's word
        self.named: list[tuple[int, int]] = []
        self.rows: list[RowTuple] = []
        self.nudge = nudge

    def run(self, operations: list[Operation]) -> "Drive":
        for what, trade_id, wait_s in operations:
            self.now_ns += round(wait_s * NS)
            if self.nudge and what != "restart":  # nobody asks at the moment when a program is killed
                self.take(self.ledger.due(self.now_ns))
            self.step(what, trade_id)
        return self

    def step(self, what: str, trade_id: int) -> None:
        if what == "trade":
            self.delivered.append(trade_id)
            if not self.ledger.believes(trade_id):
                self.doubted.add(trade_id)
            # A venue's time rises with its ids: nothing here looks like a new numbering.
            self.take(self.ledger.trade(trade(trade_id, self.now_ns, ts=trade_id)))
        elif what == "bad":
            if trade_id not in self.tape.told and self.tape.highest_id >= 0:
                self.bad.add(trade_id)
                self.ever_bad.add(trade_id)
            self.take(self.ledger.seen(trade_id, self.now_ns))
        elif what == "beat":
            self.named.append((trade_id, self.now_ns))
            self.take(self.ledger.heartbeat(trade_id, self.now_ns, self.now_ns))
        elif what == "tick":
            self.take(self.ledger.due(self.now_ns))
        else:
            self.ledger = Completeness(0, self.tape.left())
            self.named.clear()
            self.bad.clear()
            self.take(self.ledger.start(self.now_ns), restarted=True)
            assert not self.tape.open, "a restart closes open gaps"

    def take(self, rows: list[RowTuple], *, restarted: bool = False) -> None:
        self.rows += rows
        self.tape.read(rows, self.bad, restarted=restarted)

    def finish(self) -> "Drive":
        self.now_ns += 33 * NS
        self.take(self.ledger.due(self.now_ns))
        self.now_ns += 33 * NS  # gaps that opened just now, from heartbeats
        self.take(self.ledger.due(self.now_ns))
        return self


@given(OPERATIONS)
def test_every_id_is_told_once_or_stands_in_a_gap_or_went_to_quarantine(operations: list[Operation]) -> None:
    drive = Drive().run(operations).finish()
    note(f"{words(drive.rows)}")
    ids = [row[2] for row in drive.rows if Kind(row[8]) in (Kind.TRADE, Kind.LATE)]
    assert len(ids) == len(set(ids))
    if ids:
        first, last = ids[0], drive.tape.highest_id
        unaccounted = set(range(first, last + 1)) - drive.tape.told - drive.tape.gapped - drive.ever_bad
        assert not unaccounted
        assert set(drive.delivered) - drive.tape.told <= (
            drive.tape.gapped | drive.ever_bad | drive.doubted | set(range(first))
        )
    assert not drive.tape.open, "no gap stays open for ever"
    assert drive.ledger.due_ns == NEVER_NS


@given(STEADY)
def test_nothing_that_was_delivered_is_lost_but_what_was_told_before(operations: list[Operation]) -> None:
    drive = Drive().run(operations).finish()
    handed_back = len(drive.ledger.unconfirmed)
    assert len(drive.delivered) == len(drive.tape.told) + drive.ledger.duplicates + handed_back


@given(OPERATIONS)
def test_asking_for_what_is_due_more_often_changes_nothing(operations: list[Operation]) -> None:
    assert Drive(nudge=True).run(operations).rows == Drive().run(operations).rows


@given(STEADY)
def test_what_a_heartbeat_named_is_let_go_within_two_seconds(operations: list[Operation]) -> None:
    drive = Drive().run(operations)
    drive.take(drive.ledger.due(drive.now_ns))
    if drive.tape.highest_id >= 0:
        virgin_until = next(row[1] for row in drive.rows if Kind(row[8]) is Kind.TRADE)
        due = [n for n, at_ns in drive.named if virgin_until < at_ns <= drive.now_ns - 2 * NS]
        assert max(due, default=-1) <= max(drive.ledger.highest_id, drive.tape.highest_id)


@given(STEADY)
def test_no_gap_is_open_for_more_than_thirty_seconds(operations: list[Operation]) -> None:
    drive = Drive(nudge=True).run(operations)
    opened = {(row[2], row[6]): row[1] for row in drive.rows if Kind(row[8]) is Kind.GAP}
    assert all(drive.now_ns - opened[gap] < 30 * NS for gap in drive.tape.open)


@given(st.permutations(range(100, 125)), st.integers(0, 24))
def test_a_shuffled_burst_ends_complete(order: list[int], lead: int) -> None:
    # Whatever the order, with every id delivered within the wait nothing is given up.
    drive = Drive()
    start = order[lead]
    drive.run([("trade", start, 0.0)] + [("trade", n, 0.1) for n in order if n > start])
    assert drive.tape.told == set(range(start, 125))
    assert not drive.tape.open
    assert drive.ledger.duplicates == 0
