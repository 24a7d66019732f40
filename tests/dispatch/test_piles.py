"""What waits, page by page: that nothing is lost or written twice."""

import msgspec
import pytest

from support.alerts import T0
from support.records import anomaly
from tapewatch.alert import Alert
from tapewatch.dispatch.piles import MOST, PAGE, Piles

NAME = "/phone/digest"


def alert(seq: int) -> Alert:
    return Alert(seq, "phone", "opened", T0, anomaly(seq))


def filled(count: int) -> Piles:
    piles = Piles({})
    assert [piles.add(NAME, alert(seq)) for seq in range(count)] == list(range(count))
    return piles


def test_what_waited_longest_is_taken_first_and_not_all_at_once() -> None:
    piles = filled(2 * MOST + 50)
    taken = []
    while page := piles.take(NAME):
        taken.append([each.seq for each in page])
    assert [len(page) for page in taken] == [MOST, MOST, 50]
    assert [seq for page in taken for seq in page] == list(range(2 * MOST + 50))
    assert piles.count(NAME) == 0


def test_a_page_that_is_full_is_written_once() -> None:
    piles = filled(PAGE)
    assert set(piles.changed()) == {f"{NAME}/0"}
    piles.add(NAME, alert(PAGE))
    written = piles.changed()
    assert [each.seq for each in msgspec.json.decode(written.pop(f"{NAME}/1"), type=list[Alert])] == [PAGE]
    assert (written, piles.changed()) == ({}, {})


def test_what_was_taken_is_to_be_forgotten_and_the_rest_is_not_written_again() -> None:
    piles = filled(MOST + 50)
    piles.changed()
    piles.take(NAME)
    assert piles.changed() == {f"{NAME}/{number}": b"" for number in range(MOST // PAGE)}
    assert (piles.count(NAME), piles.add(NAME, alert(0))) == (50, 50)


@pytest.mark.parametrize("count", [0, 1, PAGE, PAGE + 1, 12 * PAGE + 1])
def test_piles_go_on_with_what_they_wrote(count: int) -> None:
    piles = filled(count)
    piles.add("/phone/market over", alert(7))
    piles.take("/phone/market over")
    piles.add("/phone/market over", alert(8))
    other = Piles(dict(reversed(piles.changed().items())))
    assert (other.changed(), other.count(NAME)) == ({}, count)
    assert [each.seq for each in other.take("/phone/market over")] == [8]
    assert other.add(NAME, alert(count)) == count
    assert [each.seq for each in other.take(NAME)] == list(range(min(count + 1, MOST)))


def test_a_pile_that_was_emptied_begins_anew() -> None:
    piles = filled(PAGE + 1)
    piles.take(NAME)
    piles.add(NAME, alert(9))
    written = piles.changed()
    assert [name for name, page in written.items() if page] == [f"{NAME}/0"]
    assert [name for name, page in written.items() if not page] == [f"{NAME}/1"]
