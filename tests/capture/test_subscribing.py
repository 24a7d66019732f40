"""What the venue answers, and what is asked next: conversations to read."""

from itertools import pairwise

import pytest

from support.conversations import CHANNELS, Play, told
from tapewatch.capture.subscribing import NAMELESS_MAX, RETRY_MAX_NS, Pair
from tapewatch.model import NS


def test_all_is_confirmed_at_once() -> None:
    play = told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < ack BTC,ETH
        900.00 end
        """,
        "BTC,ETH",
    )
    assert play.asking.served == {"BTC-USD", "ETH-USD"}
    assert not play.asking.watching


def test_one_error_for_the_whole_request_and_the_rest_is_asked_for_at_once() -> None:
    play = told(
        """
        0.00 connect
        0.00 > BTC,ETH,SOL
        0.10 < error Failed to subscribe: ETH-USD is delisted
        0.25 > BTC,SOL
        0.30 < ack BTC,SOL
        2.10 > ETH                  # after two seconds, alone
        2.20 < error Failed to subscribe: ETH-USD is delisted
        6.20 > ETH                  # after four
        6.30 < error Failed to subscribe: ETH-USD is delisted
        14.30 > ETH                 # after eight; listed again
        14.40 < ack BTC,ETH,SOL
        900.00 end
        """,
        "BTC,ETH,SOL",
    )
    assert play.asking.words("ETH-USD") == ""


def test_an_error_per_channel_with_the_others_served_makes_no_second_request() -> None:
    play = told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < error Failed to subscribe: ETH-USD is delisted
        0.10 < error Failed to subscribe: ETH-USD is delisted
        0.10 < ack BTC
        2.10 > ETH
        2.20 < error Failed to subscribe: ETH-USD is delisted
        2.20 < error Failed to subscribe: ETH-USD is delisted
        6.20 > ETH
        """,
        "BTC,ETH",
    )
    assert play.asking.words("ETH-USD") == "Failed to subscribe: ETH-USD is delisted"
    assert play.asking.since_ns("ETH-USD") == round(0.1 * NS), "since the first refusal, whatever was tried since"
    assert play.asking.state("BTC-USD", "matches") == "confirmed"


def test_a_late_error_of_the_other_channel_says_nothing_of_the_next_request() -> None:
    told(
        """
        0.00 connect
        0.00 > BTC,ETH,SOL
        0.10 < error Failed to subscribe: ETH-USD is delisted
        0.25 > BTC,SOL
        0.30 < error Failed to subscribe: ETH-USD is delisted
        1.60 < ack BTC,SOL
        2.10 > ETH
        """,
        "BTC,ETH,SOL",
    )


def test_the_culprit_is_found_where_the_error_does_not_name_it() -> None:
    play = told(
        """
        0.00 connect
        0.00 > BTC,ETH,SOL,XRP
        0.10 < error Failed to subscribe: Invalid product ID provided
        1.10 > BTC,ETH
        1.20 < ack BTC,ETH
        1.35 > SOL,XRP
        1.40 < error Failed to subscribe: Invalid product ID provided
        2.40 > SOL
        2.50 < error Failed to subscribe: Invalid product ID provided
        3.50 > XRP
        3.60 < ack BTC,ETH,XRP
        5.50 > SOL
        5.60 < ack BTC,ETH,SOL,XRP
        """,
        "BTC,ETH,SOL,XRP",
    )
    assert play.asking.served == {"BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD"}


def test_who_refuses_everything_without_a_name_is_not_asked_for_each_product() -> None:
    play = Play(*(f"P{n}-USD" for n in range(500)))
    play.hear("connect")
    while play.now_ns < 60 * NS:
        answered = len(play.asked)
        play.hear("error Failed to subscribe: Internal error")
        while len(play.asked) == answered:
            play.until(play.asking.wake_ns)
    sizes = [len({pair.symbol for pair in pairs}) for _, pairs in play.asked]
    assert sizes[:NAMELESS_MAX] == [500, 250, 125, 63, 32, 16, 8, 4, 2, 1, 1, 2]
    assert {498, 249} <= set(sizes[NAMELESS_MAX:]), "then all but the two that were refused by themselves, and halves"
    assert play.asking.words("P499-USD") == "Failed to subscribe: Internal error"


@pytest.mark.parametrize(
    ("acknowledged", "again", "words"),
    [
        ("BTC,ETH heartbeat", ["3.10 > BTC matches", "3.35 > ETH matches"], "matches of ETH-USD"),
        ("BTC", ["3.10 > ETH"], "matches and heartbeat of ETH-USD"),
        ("", ["3.10 > BTC", "3.35 > ETH"], "matches and heartbeat of ETH-USD"),
    ],
)
def test_what_an_acknowledgement_leaves_out_is_asked_for_by_itself(
    acknowledged: str, again: list[str], words: str
) -> None:
    play = told(f"0.00 connect\n0.00 > BTC,ETH\n0.10 < ack {acknowledged}\n1.20 end", "BTC,ETH")
    assert play.asking.words("ETH-USD") == f"its acknowledgement leaves out {words}"
    assert "ETH-USD" not in play.asking.served
    play.until(round(3.2 * NS))
    others = {Pair("ETH-USD", channel) for channel in CHANNELS if channel in acknowledged}
    play.asking.acknowledged({Pair("BTC-USD", channel) for channel in CHANNELS} | others, play.now_ns)
    play.until(round(3.4 * NS))
    assert play.said[1:] == again
    play.hear("ack BTC,ETH")
    assert play.asking.served == {"BTC-USD", "ETH-USD"}
    assert play.asking.words("ETH-USD") == ""


def test_what_a_later_acknowledgement_leaves_out_is_not_confirmed_any_more() -> None:
    told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < ack BTC,ETH
        100.00 < ack BTC,ETH heartbeat
        100.50 < match BTC             # it comes although it is not listed
        103.00 > ETH matches           # two seconds after the second in which more could have come
        103.10 < ack BTC,ETH
        900.00 end
        """,
        "BTC,ETH",
    )


def test_acknowledgements_that_grow_channel_by_channel_are_one() -> None:
    told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < ack BTC,ETH matches
        0.12 < ack BTC,ETH
        900.00 end
        """,
        "BTC,ETH",
    )


def test_acknowledgements_without_end_do_not_put_off_what_they_leave_out() -> None:
    told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < ack BTC
        0.90 < ack BTC
        1.70 < ack BTC
        3.10 > ETH
        """,
        "BTC,ETH",
    )


def test_no_answer_is_a_reason_to_ask_again_and_then_to_connect_anew() -> None:
    play = told(
        """
        0.00 connect
        0.00 > BTC,ETH
        4.00 > BTC,ETH
        7.90 end
        """,
        "BTC,ETH",
    )
    assert not play.asking.dead
    play.until(8 * NS)
    assert play.asking.dead
    play.hear("connect")
    assert not play.asking.dead
    assert len(play.asked) == 3


def test_no_answer_where_others_are_served_costs_nobody_the_connection() -> None:
    play = told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < match BTC
        0.20 < beat BTC
        6.00 > ETH           # four seconds of waiting, two of patience
        14.00 > ETH
        """,
        "BTC,ETH",
    )
    assert play.asking.words("ETH-USD") == "it did not answer the request"
    assert play.asking.served == {"BTC-USD"}


def test_a_frame_says_more_than_a_refusal() -> None:
    play = told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < error ETH-USD is delisted
        0.10 < ack BTC
        1.00 < beat ETH
        1.10 < match ETH
        900.00 end
        """,
        "BTC,ETH",
    )
    assert (play.asking.words("ETH-USD"), play.asking.since_ns("ETH-USD")) == ("", 0)


def test_a_new_connection_does_not_name_who_is_refused() -> None:
    play = told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < error ETH-USD is delisted
        0.10 < ack BTC
        1.00 connect
        1.00 > BTC
        1.10 < ack BTC
        2.10 > ETH
        """,
        "BTC,ETH",
    )
    assert play.asking.since_ns("ETH-USD") == round(0.1 * NS)


def test_where_everybody_is_refused_a_new_connection_asks_for_the_next_one() -> None:
    told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < error ETH-USD is delisted
        0.25 > BTC
        0.30 < error BTC-USD is delisted
        1.00 connect          # the venue hangs up on who asks for nothing
        1.00 > ETH
        """,
        "BTC,ETH",
    )


def test_who_is_refused_and_not_answered_gives_the_next_one_its_turn() -> None:
    told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < error BTC-USD and ETH-USD are delisted
        2.10 > BTC
        6.10 > BTC            # no answer in four seconds, and none in the next four
        11.00 connect
        11.00 > ETH
        """,
        "BTC,ETH",
    )


def test_the_time_in_which_nobody_reads_is_no_silence_of_the_venue() -> None:
    play = Play("BTC-USD", "ETH-USD")
    play.hear("connect")
    play.until(round(3.9 * NS))
    play.asking.resumed(play.now_ns)
    play.until(round(7.8 * NS))
    assert len(play.asked) == 1
    play.hear("ack BTC,ETH")
    play.until(100 * NS)
    play.asking.resumed(play.now_ns)
    play.until(104 * NS)
    silent(play, "ETH-USD", others_ns=104 * NS, last_ns=60 * NS)
    assert play.asking.served == {"BTC-USD", "ETH-USD"}
    play.until(105 * NS)
    silent(play, "ETH-USD", others_ns=105 * NS, last_ns=60 * NS)
    assert play.asking.served == {"BTC-USD"}


def silent(play: Play, symbol: str, others_ns: int, last_ns: int) -> None:
    heard = dict.fromkeys(("BTC-USD", "ETH-USD"), others_ns) | {symbol: last_ns}
    play.asking.unheard(heard, play.now_ns)


def test_a_product_that_falls_silent_is_asked_for_and_the_venue_says_why() -> None:
    play = told("0.00 connect\n0.00 > BTC,ETH\n0.10 < ack BTC,ETH\n100.00 end", "BTC,ETH")
    silent(play, "ETH-USD", others_ns=100 * NS, last_ns=96 * NS)
    assert play.asking.served == {"BTC-USD", "ETH-USD"}
    play.until(101 * NS)
    silent(play, "ETH-USD", others_ns=101 * NS, last_ns=96 * NS)
    assert play.asking.words("ETH-USD") == "no frame of ETH-USD for 5 s while others come"
    play.until(play.now_ns)
    assert play.said[-1] == "101.00 > ETH"
    play.hear("error Failed to subscribe: ETH-USD is delisted")
    assert play.asking.words("ETH-USD") == "Failed to subscribe: ETH-USD is delisted"
    play.until(103 * NS)
    assert play.said[-1] == "103.00 > ETH"
    play.hear("ack BTC,ETH")
    assert play.asking.since_ns("ETH-USD") == 101 * NS, "it is well when a frame has come"
    play.hear("beat ETH")
    assert play.asking.since_ns("ETH-USD") == 0


def test_who_is_subscribed_and_stays_silent_is_asked_for_less_and_less_often() -> None:
    play = told("0.00 connect\n0.00 > BTC,ETH\n0.10 < ack BTC,ETH\n100.00 end", "BTC,ETH")
    for second in range(100, 2_100):
        play.until(second * NS)
        silent(play, "ETH-USD", others_ns=second * NS, last_ns=90 * NS)
        before = len(play.asked)
        play.until(second * NS)
        if len(play.asked) > before or play.asking.state("ETH-USD", "matches") == "requested":
            play.hear("ack BTC,ETH")
    asked_s = [at // NS for at, _ in play.asked[1:]]
    waits = [b - a for a, b in pairwise(asked_s)]
    assert waits == sorted(waits)
    assert waits[:5] == [7, 9, 13, 21, 37], "five seconds of silence, then 2, 4, 8 …"
    assert waits[-1] <= RETRY_MAX_NS // NS + 5


def test_a_silence_of_all_is_no_reason_to_ask() -> None:
    play = told("0.00 connect\n0.00 > BTC,ETH\n0.10 < ack BTC,ETH\n100.00 end", "BTC,ETH")
    silent(play, "ETH-USD", others_ns=90 * NS, last_ns=90 * NS)
    play.until(120 * NS)
    assert len(play.asked) == 1


def test_after_a_minute_of_service_patience_begins_anew() -> None:
    told(
        """
        0.00 connect
        0.00 > BTC,ETH
        0.10 < ack BTC,ETH
        70.00 < error ETH-USD is halted
        72.00 > ETH
        72.10 < ack BTC,ETH
        80.00 < error ETH-USD is halted     # again, after eight seconds
        84.00 > ETH
        84.10 < ack BTC,ETH
        150.00 < error ETH-USD is halted    # after more than a minute
        152.00 > ETH
        """,
        "BTC,ETH",
    )
