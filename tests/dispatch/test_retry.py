"""When it is tried again: waits that grow, what a receiver asks for, the end of trying, and one probe at a time."""

from hypothesis import given
from hypothesis import strategies as st

from tapewatch.dispatch.retry import (
    ASKED_LONGEST_S,
    JITTER,
    LONGEST_S,
    PAUSE_LONGEST_S,
    Health,
    Receipt,
    next_try,
)
from tapewatch.model import NS

DAY_S = 86_400.0
NOW = 1_700_000_000 * NS
ACCEPTED = Receipt(accepted=True, outcome="accepted")
FAILED = Receipt(accepted=False, outcome="HTTP 500")
REFUSED = Receipt(accepted=False, outcome="HTTP 401", permanent=True)


def asked(seconds: float) -> Receipt:
    return Receipt(accepted=False, outcome="HTTP 429", retry_after_s=seconds)


def wait_s(attempts: int, receipt: Receipt, key: str = "a") -> float:
    due = next_try(attempts, receipt, NOW, NOW, key, DAY_S)
    assert due is not None
    return (due - NOW) / NS


class TestWaits:
    def test_they_double_up_to_the_longest(self) -> None:
        for attempts, longest in enumerate((1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300), 1):
            assert (1 - JITTER) * longest <= wait_s(attempts, FAILED) <= longest

    def test_a_message_that_was_tried_very_often_is_no_trouble(self) -> None:
        assert wait_s(100_000, FAILED) <= LONGEST_S

    def test_the_same_message_always_waits_the_same(self) -> None:
        assert wait_s(5, FAILED, "one") == wait_s(5, FAILED, "one")

    def test_different_messages_do_not_come_back_in_step(self) -> None:
        waits = {wait_s(9, FAILED, str(number)) for number in range(100)}
        assert len(waits) == 100
        assert max(waits) - min(waits) > 0.8 * JITTER * 256

    def test_a_permanent_refusal_is_tried_again_though_rarely(self) -> None:
        assert (1 - JITTER) * LONGEST_S <= wait_s(1, REFUSED) <= LONGEST_S

    def test_never_earlier_than_the_receiver_asks(self) -> None:
        assert wait_s(1, asked(30)) == 30
        assert wait_s(10, asked(30)) > 30
        assert wait_s(1, asked(1e9)) == ASKED_LONGEST_S

    @given(
        st.integers(1, 500), st.floats(0, 1e9), st.booleans(), st.text(), st.integers(0, 2 * 86_400), st.floats(1, 1e6)
    )
    def test_laws(self, attempts: int, seconds: float, permanent: bool, key: str, age_s: int, keep_s: float) -> None:
        receipt = Receipt(accepted=False, outcome="x", retry_after_s=seconds, permanent=permanent)
        made = NOW - age_s * NS
        due = next_try(attempts, receipt, NOW, made, key, keep_s)
        end = made + round(keep_s * NS)
        if due is None:
            assert NOW + min(seconds, ASKED_LONGEST_S) * NS >= end - 1
        else:
            assert NOW + round(min(seconds, ASKED_LONGEST_S) * NS) <= due <= end
            assert due > NOW


class TestTheEndOfTrying:
    def test_the_last_attempt_is_at_the_end(self) -> None:
        made = NOW - round((DAY_S - 5) * NS)
        assert next_try(50, FAILED, NOW, made, "a", DAY_S) == NOW + 5 * NS
        assert next_try(51, FAILED, NOW + 5 * NS, made, "a", DAY_S) is None

    def test_who_asks_for_more_time_than_there_is_gets_no_further_message(self) -> None:
        assert next_try(1, asked(30), NOW, NOW, "a", 29) is None


class TestHealth:
    def test_each_change_is_said_once(self) -> None:
        health, events = Health(), []
        for receipt in (ACCEPTED, FAILED, FAILED, REFUSED, ACCEPTED, ACCEPTED, FAILED):
            health, event = health.after(receipt, NOW)
            events.append(event)
        assert events == [None, "failing", None, None, "working again", None, "failing"]

    def test_it_knows_since_when_it_fails(self) -> None:
        health = Health()
        for second in (3, 5, 9):
            health, _ = health.after(FAILED, NOW + second * NS)
        assert (health.failing_since, health.failures, health.works) == (NOW + 3 * NS, 3, False)

    def test_pauses_double_up_to_a_minute(self) -> None:
        health, pauses = Health(), []
        for _ in range(8):
            health, _ = health.after(FAILED, NOW)
            pauses.append((health.pause_until - NOW) / NS)
        assert pauses == [1, 2, 4, 8, 16, 32, PAUSE_LONGEST_S, PAUSE_LONGEST_S]

    def test_a_channel_rests_for_as_long_as_it_asks(self) -> None:
        health, _ = Health().after(asked(1_800), NOW)
        assert health.pause_until == NOW + 1_800 * NS

    def test_a_permanent_refusal_of_one_message_does_not_stop_the_others_for_long(self) -> None:
        health, _ = Health().after(REFUSED, NOW)
        assert health.pause_until == NOW + NS

    def test_a_hundred_messages_do_not_hammer_a_dead_channel(self) -> None:
        # As a sender does it: whichever is due first, never before the channel's pause is over.
        due = dict.fromkeys(range(100), NOW)
        attempts = dict.fromkeys(due, 0)
        health, now, requests = Health(), NOW, 0
        while now < NOW + 3_600 * NS:
            message = min(due, key=due.__getitem__)
            now = max(now, due[message], health.pause_until)
            requests += 1
            attempts[message] += 1
            health, _ = health.after(FAILED, now)
            again = next_try(attempts[message], FAILED, now, NOW, str(message), DAY_S)
            assert again is not None
            due[message] = again
        assert requests <= 3_600 / PAUSE_LONGEST_S + 7
        assert min(attempts.values()) <= 1, "it is one probe at a time"
        health, event = health.after(ACCEPTED, now)
        assert (event, health.pause_until) == ("working again", 0)
