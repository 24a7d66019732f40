"""The page of the rules, sentence by sentence: how anomalies open, grow, end and are written.

Every example is put to the oracle and to the detector, which must agree on all that it comes to.
"""

import hashlib

import msgspec
import pytest

from support.agreement import agreed
from support.markets import START, Tape, ns
from support.oracle import Armed
from tapewatch.model import Anomaly, Change, Flag, Lane

BTC = Lane("coinbase", "BTC-USD")
LINK = Lane("coinbase", "LINK-USD")


def changes(tape: Tape, rule: str = "pct_spike") -> list[Change]:
    return [change for change in agreed(tape.rows()).changes if change.anomaly.rule == rule]


def the_open(tape: Tape, rule: str = "pct_spike") -> Anomaly:
    return next(anomaly for anomaly in agreed(tape.rows()).open if anomaly.rule == rule)


def first(tape: Tape, rule: str = "pct_spike") -> Anomaly:
    return changes(tape, rule)[0].anomaly


# --- opening, holding, peak ---------------------------------------------------------------------------------


def test_a_firing_row_counts_and_holds_only_from_half_of_the_peak() -> None:
    # Half of the peak of 1 % is 0.5 %: less counts and does not hold.
    tape = Tape(LINK).trade(0, 100).trade(1, 101).trade(2, "100.49").trade(3, "100.3")
    assert (the_open(tape).triggers, the_open(tape).last_ts) == (3, START + ns(1))
    assert the_open(tape.trade(4, "100.5")).last_ts == START + ns(4)
    assert the_open(tape).triggers == 4
    assert the_open(tape).peak_observed == 1.0


def test_a_larger_observation_becomes_the_peak_with_what_it_was_compared_with() -> None:
    tape = Tape(LINK).trade(0, 100).trade(1, 101).trade(2, 99).trade(3, 102).trade(4, 102)
    anomaly = the_open(Tape(LINK).trade(0, 100).trade(1, 101))
    peaked = next(a for a in agreed(tape.rows()).open if a.direction == "up")
    assert (anomaly.price, anomaly.reference_price, anomaly.observed) == (101.0, 100.0, 1.0)
    assert (peaked.price, peaked.reference_price, peaked.observed, peaked.id) == (101.0, 100.0, 1.0, anomaly.id)
    assert peaked.peak_observed == 100.0 * (3.0 / 99.0)
    # The equal observation at 4 s holds and does not move the peak.
    assert (peaked.peak_price, peaked.peak_ts, peaked.last_ts) == (102.0, START + ns(3), START + ns(4))
    assert (peaked.peak_reference_price, peaked.peak_reference_ts) == (99.0, START + ns(2))


def test_a_crash_and_its_rebound_are_two_anomalies() -> None:
    verdict = agreed(Tape(LINK).trade(0, 100).trade(1, 90).trade(2, 100).rows())
    spikes = [a for a in verdict.open if a.rule == "pct_spike"]
    assert [(a.direction, a.peak_observed < 0) for a in spikes] == [("down", True), ("up", False)]


# --- escalation ---------------------------------------------------------------------------------------------


def test_the_opening_row_can_escalate_at_once() -> None:
    # 2 % is 8 times the limit: three steps on the opening row, and one change.
    (only,) = changes(Tape(LINK).trade(0, 100).trade(1, 102))
    assert (only.change, only.anomaly.escalation) == ("opened", 3)
    assert only.anomaly.escalated_ts == (START + ns(1),) * 3


def test_several_steps_on_a_later_row_are_one_change() -> None:
    tape = Tape(LINK).trade(0, 100).trade(1, "100.25").trade(2, "100.49").trade(3, 101).trade(4, 101).trade(5, "101.9")
    told = changes(tape)
    assert [(c.change, c.anomaly.escalation) for c in told] == [("opened", 0), ("escalated", 2)]
    assert told[-1].anomaly.escalated_ts == (START + ns(3), START + ns(3))
    assert told[-1].anomaly.triggers == 3
    assert (told[-1].at, told[-1].ordinal) == (START + ns(3), 1)


def test_escalation_is_measured_by_the_limit_at_the_opening_row() -> None:
    # A breakout over a floor of 0.12 % of 100: 0.24 is the first step.
    tape = Tape(LINK)
    for second in range(61):
        tape.trade(second, 100)
    tape.trade(61, "100.12")
    assert the_open(tape, "vol_breakout").escalation == 0
    assert the_open(tape.trade("61.1", "100.24"), "vol_breakout").escalation == 1


# --- ending -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "ended"), [("61", False), ("61.000000001", True)])
def test_it_ends_when_quiet_for_more_than_sixty_seconds(at: str, ended: bool) -> None:
    tape = Tape(LINK).trade(0, 100).trade(1, 101).trade(at, 101)
    last = changes(tape)[-1]
    assert (last.change == "ended") == ended
    if ended:
        assert (last.at, last.anomaly.ended_ts, last.anomaly.last_ts) == (START + ns(at), START + ns(1), START + ns(1))


@pytest.mark.parametrize(("venue", "ended"), [(None, False), ("61", False), ("61.000000001", True), ("0.5", False)])
def test_a_clock_ends_it_by_the_venues_time_only(venue: str | None, ended: bool) -> None:
    tape = Tape(LINK).trade(0, 100).trade(1, 101).clock(500, 500, venue)
    last = changes(tape)[-1]
    assert (last.change == "ended") == ended
    if ended:
        assert (last.at, last.anomaly.ended_ts) == (START + ns(venue), START + ns(1))


def test_a_clock_does_not_move_the_lanes_time() -> None:
    tape = Tape(LINK).trade(0, 100).clock(500, 500, 500).trade(1, 101)
    assert first(tape).opened_ts == START + ns(1)


def test_the_row_that_ends_one_may_open_the_next() -> None:
    tape = Tape(LINK).trade(0, 100).trade(1, 101).trade(62, 103)
    told = changes(tape)
    assert [(c.change, c.anomaly.trade_id, c.ordinal) for c in told] == [
        ("opened", 2, 0),
        ("ended", 2, 1),
        ("opened", 3, 2),
    ]


def test_at_the_end_of_a_tape_it_stays_open() -> None:
    assert the_open(Tape(LINK).trade(0, 100).trade(1, 101)).ended_ts is None


def test_a_row_that_does_not_hold_does_not_keep_it_open() -> None:
    # Forty seconds of small firing rows after a great one: it ends 60 s after the great one.
    tape = Tape(LINK).trade(0, 100).trade(1, 110)
    for second in range(2, 62, 5):
        tape.trade(second, 100).trade(second, "100.3")
    ended = [c for c in changes(tape.trade("61.5", 100)) if c.change == "ended" and c.anomaly.direction == "up"]
    assert [c.anomaly.last_ts for c in ended] == [START + ns(1)]
    assert ended[0].anomaly.triggers == 13


def test_on_one_row_ends_come_first_then_the_table_up_before_down() -> None:
    wide: Armed = {
        "pct_spike": {"threshold_pct": 1, "window_s": 300, "quiet_s": 60},
        "abs_jump": {"limit_quote": 1, "window_s": 300, "quiet_s": 60},
    }
    tape = Tape(BTC).trade(0, 100).trade(1, 103).trade(2, 90).trade(70, 101)
    told = agreed(tape.rows(), wide).changes
    assert [(c.change, c.anomaly.rule, c.anomaly.direction) for c in told if c.at == START + ns(70)] == [
        ("ended", "pct_spike", "up"),
        ("ended", "pct_spike", "down"),
        ("ended", "abs_jump", "up"),
        ("ended", "abs_jump", "down"),
        ("opened", "pct_spike", "up"),
        ("opened", "pct_spike", "down"),
        ("opened", "abs_jump", "up"),
        ("opened", "abs_jump", "down"),
    ]
    assert [c.ordinal for c in told] == list(range(len(told)))


def test_a_clock_ends_market_anomalies_before_it_speaks_of_silence() -> None:
    tape = Tape(LINK).trade(0, 100).trade(1, 101).clock(70, 60, 70)
    told = agreed(tape.rows()).changes
    assert [(c.change, c.anomaly.rule) for c in told][1:] == [("ended", "pct_spike"), ("opened", "silent_feed")]


# --- quality and history ------------------------------------------------------------------------------------


def test_a_gap_not_filled_within_the_window_spoils_the_quality() -> None:
    assert first(Tape(LINK).trade(0, 100).trade(1, 101)).quality == "complete"
    open_gap = Tape(LINK).trade(0, 100).gap(0, 2, 2).trade(1, 101)
    assert first(open_gap).quality == "gap"
    filled = Tape(LINK).trade(0, 100).gap(0, 2, 2).late(0, 100, 2).filled(0, 2, 2).trade(1, 101)
    assert first(filled).quality == "complete"
    given_up = Tape(LINK).trade(0, 100).gap(0, 2, 2).filled(0, 2, 2, given_up=True).trade(1, 101)
    assert first(given_up).quality == "gap"


@pytest.mark.parametrize(("at", "quality"), [("10", "gap"), ("10.000000001", "complete")])
def test_the_gaps_time_is_that_of_the_trade_before_it(at: str, quality: str) -> None:
    tape = Tape(LINK).trade(0, 100).gap(3, 2, 2).trade(4, 100).trade(at, 101)
    assert first(tape).quality == quality


def test_a_gap_given_up_for_the_65th_is_never_filled() -> None:
    tape = Tape(LINK).trade(0, 100)
    for gap in range(65):
        tape.gap(0, 2 + gap, 2 + gap)
    for gap in range(65):
        tape.filled(0, 2 + gap, 2 + gap)
    assert first(tape.trade(1, 101)).quality == "gap"


def test_a_gap_before_any_trade_has_no_time() -> None:
    assert first(Tape(LINK).gap(0, 1, 1).trade(0, 100).trade(1, 101)).quality == "complete"


def test_a_gap_filled_after_the_opening_does_not_mend_it() -> None:
    tape = Tape(LINK).trade(0, 100).gap(0, 2, 2).trade(1, 101).late(2, 100, 2).filled(2, 2, 2)
    assert the_open(tape).quality == "gap"


@pytest.mark.parametrize(("second", "quality"), [(0, "complete"), (1, "gap")])
def test_a_gap_counts_from_the_oldest_sample_used(second: int, quality: str) -> None:
    # 62 seconds: the 61 samples of the breakout begin with second 1.
    tape = Tape(BTC)
    for each in range(62):
        tape.trade(each, 50000)
        if each == second:
            tape.gap(each, tape.next_id[0], tape.next_id[0])
    tape.trade(62, 50015)
    assert first(tape, "vol_breakout").quality == quality
    tape.trade("62.5", 50025)  # the 60 samples of the stretch begin with second 2
    assert first(tape, "mean_reversion_break").quality == "complete"


@pytest.mark.parametrize(("recv", "quality"), [("11", "complete"), ("11.000000001", "late")])
def test_more_than_ten_seconds_of_delay_are_late(recv: str, quality: str) -> None:
    assert first(Tape(LINK).trade(0, 100).trade(1, 101, recv=recv)).quality == quality


def test_lateness_is_that_of_the_row_as_delivered() -> None:
    # Its effective time is 20 s, but it is from 9 s and came at 20 s.
    assert first(Tape(LINK).trade(20, 100).trade(9, 101, recv=20)).quality == "late"


def test_a_gap_weighs_more_than_lateness() -> None:
    assert first(Tape(LINK).trade(0, 100).gap(0, 2, 2).trade(1, 101, recv=50)).quality == "gap"


def test_history_is_that_of_the_opening_row() -> None:
    fetched = Tape(LINK).trade(0, 100).trade(1, 101, flags=Flag.HISTORY)
    assert the_open(fetched).history
    assert the_open(fetched.trade(2, 105)).history
    assert not the_open(Tape(LINK).trade(0, 100, flags=Flag.HISTORY).trade(1, 101)).history
    assert the_open(Tape(LINK).gap(0, 1, 1, flags=Flag.HISTORY), "tape_gap").history


# --- how it is written --------------------------------------------------------------------------------------


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@pytest.mark.parametrize(
    ("rule", "rest"),
    [
        ("pct_spike", '"up",{"quiet_s":"60","threshold_pct":"0.25","window_s":"10"},62]'),
        ("abs_jump", '"up",{"limit_quote":"30","quiet_s":"60","window_s":"10"},62]'),
        ("vol_breakout", '"up",{"floor_quote":"15","quiet_s":"60","returns":"60","sigmas":"3"},62]'),
        ("mean_reversion_break", '"up",{"floor_quote":"25","quiet_s":"60","samples":"60","sigmas":"2"},62]'),
        ("tape_gap", "null,{},63]"),
        ("silent_feed", 'null,{"limit_s":"5"},1760054470000000000]'),
    ],
)
def test_an_id_is_the_hash_of_what_it_is(rule: str, rest: str) -> None:
    tape = Tape(BTC)
    for second in range(61):
        tape.trade(second, 50000)
    tape.trade(61, 50125).gap(62, 63, 64).clock(70, 62)
    assert the_open(tape, rule).id == digest(f'["coinbase","BTC-USD","{rule}",{rest}')


def test_elsewhere_an_id_names_the_percent_floor() -> None:
    tape = Tape(LINK)
    for second in range(61):
        tape.trade(second, 50)
    parameters = '{"floor_pct":"0.12","quiet_s":"60","returns":"60","sigmas":"3"}'
    expected = digest(f'["coinbase","LINK-USD","vol_breakout","down",{parameters},62]')
    assert the_open(tape.trade(61, 49), "vol_breakout").id == expected


def test_the_record_is_json_in_the_order_of_the_page() -> None:
    tape = Tape(LINK).trade("0.000000001", 100, number=6).trade("8.2", "99.7", number=7)
    made = digest(
        '["coinbase","LINK-USD","pct_spike","down",{"quiet_s":"60","threshold_pct":"0.25","window_s":"10"},7]'
    )
    assert msgspec.json.encode(the_open(tape)).decode() == (
        f'{{"id":"{made}","venue":"coinbase","symbol":"LINK-USD","rule":"pct_spike","severity":"high","kind":"market",'
        '"direction":"down","opened_ts":1760054408200000000,"opened_at":"2025-10-10T00:00:08.200000000Z",'
        '"trade_id":7,"price":99.7,"reference_price":100.0,"reference_ts":1760054400000000001,'
        '"observed":-0.3,"threshold":0.25,"unit":"percent","peak_observed":-0.3,"peak_price":99.7,'
        '"peak_ts":1760054408200000000,"peak_reference_price":100.0,"peak_reference_ts":1760054400000000001,'
        '"last_ts":1760054408200000000,"ended_ts":null,"triggers":1,"escalation":0,"escalated_ts":[],'
        '"quality":"complete","history":false,'
        '"explain":"LINK-USD fell 0.30 % in 8.2 s, from 100.00 to 99.70 (limit 0.25 % in 10 s)",'
        '"size":1.2,"peak_left_ts":1760054408200000000}'
    )


def test_a_fast_move_in_words() -> None:
    tape = Tape(BTC).trade(0, 114210).trade("8.2", "110578.10")
    assert first(tape).explain == ("BTC-USD fell 3.18 % in 8.2 s, from 114,210.00 to 110,578.10 (limit 0.25 % in 10 s)")
    tape = Tape(BTC).trade(0, 114210).trade(43, "110578.10")
    assert first(tape).explain == (
        "BTC-USD fell 3.18 % from its last trade 43.0 s before, from 114,210.00 to 110,578.10 (limit 0.25 % in 10 s)"
    )


def test_a_dollar_jump_in_words() -> None:
    tape = Tape(BTC).trade(0, 114210).trade("8.2", "114241.2")
    assert first(tape, "abs_jump").explain == (
        "BTC-USD rose 31.20 in 8.2 s, from 114,210.00 to 114,241.20 (limit 30.00 in 10 s)"
    )
    tape = Tape(BTC).trade(0, "114210.125").trade(1, "112210.125")
    assert first(tape, "abs_jump").explain == (
        "BTC-USD fell 2,000.000 in 1.0 s, from 114,210.125 to 112,210.125 (limit 30.00 in 10 s)"
    )


def test_seconds_are_rounded_half_even() -> None:
    assert " in 8.4 s," in first(Tape(LINK).trade(0, 100).trade("8.35", 101)).explain
    assert " in 8.2 s," in first(Tape(LINK).trade(0, 100).trade("8.25", 101)).explain


def test_a_breakout_in_words() -> None:
    tape = Tape(LINK)
    for second in range(61):
        tape.trade(second, "17.588")
    # 0.12 % of 17.588 is 0.0211056.
    assert first(tape.trade(61, "18.458"), "vol_breakout").explain == (
        "LINK-USD rose 0.870 above the last second's 17.588 (limit 0.021)"
    )


def test_a_breakout_shows_the_decimals_of_the_more_precise_price() -> None:
    tape = Tape(LINK)
    for second in range(61):
        tape.trade(second, "20.1234")
    assert first(tape.trade(61, "20"), "vol_breakout").explain == (
        "LINK-USD fell 0.1234 below the last second's 20.1234 (limit 0.0241)"
    )


def test_a_stretch_in_words() -> None:
    tape = Tape(LINK)
    for second in range(60):
        tape.trade(second, "18.632")
    # 0.20 % of 18.632 is 0.037264.
    assert first(tape.trade(60, "19.166"), "mean_reversion_break").explain == (
        "LINK-USD stands 0.534 above its 60-second mean of 18.632 (limit 0.037)"
    )


@pytest.mark.parametrize(
    ("low", "high", "price", "size", "mean"),
    [
        ("100.00", "100.01", "99.50", "0.50", "100.00"),  # 100.005 − 99.50 = 0.505: half, to the even 0.50
        ("100.01", "100.02", "99.50", "0.52", "100.02"),  # 100.015 − 99.50 = 0.515: half, to the even 0.52
        ("100.00", "100.01", "99.502", "0.503", "100.005"),
    ],
)
def test_a_mean_is_rounded_half_even_to_the_decimals_of_the_price(
    low: str, high: str, price: str, size: str, mean: str
) -> None:
    tape = Tape(LINK)
    for second in range(60):
        tape.trade(second, low if second % 2 else high)
    words = first(tape.trade(60, price), "mean_reversion_break").explain
    assert words.startswith(f"LINK-USD stands {size} below its 60-second mean of {mean} (limit 0.20")


def test_a_tiny_price_is_written_out() -> None:
    tape = Tape(LINK).trade(0, "0.0000012345").trade(1, "0.000002")
    assert first(tape).explain == (
        "LINK-USD rose 62.01 % in 1.0 s, from 0.0000012345 to 0.000002 (limit 0.25 % in 10 s)"
    )


def test_missing_trades_in_words() -> None:
    assert first(Tape(LINK).gap(0, 1201, 1207), "tape_gap").explain == "7 trades missing, ids 1201 to 1207"
    assert first(Tape(LINK).gap(0, 1201, 1201), "tape_gap").explain == "1 trade missing, id 1201"
