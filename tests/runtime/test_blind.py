"""What the venue changes under our feet, from the simulated exchange's sockets to anomalies: nothing is lost unsaid."""

from runtime.test_refusals import bad_day
from tapewatch.model import NUMBERING, Kind


async def test_a_new_numbering_is_an_epoch_and_no_trade_is_lost() -> None:
    async with bad_day("renumber:ETH-USD@5") as rig:
        await rig.go_on(14)
    (epoch,) = rig.of("ETH-USD", Kind.EPOCH)
    assert epoch[2] == NUMBERING + 1
    ids = [row[2] for row in rig.of("ETH-USD", Kind.TRADE)]
    anew = [one for one in ids if one > NUMBERING]
    assert anew == list(range(NUMBERING + 1, NUMBERING + 1 + len(anew))), "from the first one on"
    assert len(anew) > 3
    assert ("ETH-USD", "new_numbering", "opened") in rig.anomalies
    assert ("ETH-USD", "new_numbering", "ended") in rig.anomalies
    assert not [each for each in rig.anomalies if each[1] in ("blind_feed", "tape_gap")]


async def test_one_id_that_leaps_costs_one_trade() -> None:
    async with bad_day("leap:ETH-USD@5") as rig:
        await rig.go_on(14)
    ids = [row[2] for row in rig.of("ETH-USD", Kind.TRADE)]
    missing = set(range(ids[0], ids[-1] + 1)) - set(ids)
    assert len(missing) == 1
    assert rig.source.status() != {}
    assert [item.reason.partition(":")[0] for item in rig.source.quarantined()] == ["absurd trade id"]


async def test_prices_that_become_numbers_are_read() -> None:
    async with bad_day("number:ETH-USD@3") as rig:
        await rig.go_on(12)
    ids = [row[2] for row in rig.of("ETH-USD", Kind.TRADE)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert rig.source.quarantined() == []


async def test_a_channel_that_is_left_out_makes_the_lane_blind_and_not_ready() -> None:
    async with bad_day("omit:ETH-USD/matches") as rig:
        await rig.go_on(14)
    assert ("ETH-USD", "blind_feed", "opened") in rig.anomalies
    assert ("BTC-USD", "blind_feed", "opened") not in rig.anomalies
    assert rig.said[13] is not None
    assert "ETH-USD" in rig.said[13]
