"""The table of instruments: what is shipped, what a row changes, and which indices are one bet."""

import copy
import json

import pytest

from kalshi_daemon.domain.index import Geometry, Index, index_of_ticker
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.ground.units import Level
from kalshi_daemon.settings.instruments import IndexSettings, InstrumentsSettings, SeriesSettings, instruments_of

SPX, NDX = Index("SPX"), Index("NDX")


def table_with(groups: dict[str, str]) -> Instruments:
    """The shipped rows and these indices, each in its group, with an hourly series."""
    return instruments_of(
        InstrumentsSettings(
            indices={name: IndexSettings(level=1_000.0, correlation_group=group) for name, group in groups.items()},
            series={f"KX{name}": SeriesSettings(index=name, cadence="hourly", step=20) for name in groups},
        )
    )


def test_the_shipped_table():
    assert SHIPPED_INSTRUMENTS.indices == (SPX, NDX)
    assert list(SHIPPED_INSTRUMENTS.series) == ["KXINXU", "KXNASDAQ100U", "KXINX", "KXNASDAQ100"]
    assert SHIPPED_INSTRUMENTS.pairs == ((SPX, NDX),)
    assert (SHIPPED_INSTRUMENTS.strike_step(SPX), SHIPPED_INSTRUMENTS.strike_step(NDX)) == (5.0, 10.0)
    assert SHIPPED_INSTRUMENTS.by_feed_ticker == {"I:SPX": SPX, "I:NDX": NDX}
    assert SHIPPED_INSTRUMENTS.bar_words == {
        "SPX": (SPX, 1.0),
        "ES": (SPX, 1.0),
        "SPY": (SPX, 10.0),
        "NDX": (NDX, 1.0),
        "NQ": (NDX, 1.0),
        "QQQ": (NDX, 41.0),
    }
    assert {ticker: series.geometry for ticker, series in SHIPPED_INSTRUMENTS.series.items()} == {
        "KXINXU": Geometry(5, 400, Level(1), Geometry(25, 60, Level(1))),
        "KXNASDAQ100U": Geometry(10, 400, Level(100), Geometry(100, 60, Level(100))),
        "KXINX": Geometry(25, 30, Level(1)),
        "KXNASDAQ100": Geometry(100, 30, Level(100)),
    }


def test_an_index_without_a_group_has_neither_partner_nor_peers():
    table = table_with({"DJI": ""})
    dji = Index("DJI")
    assert table.indices == (SPX, NDX, dji)
    assert table.pairs == ((SPX, NDX),)
    assert table.pair_of(dji) == (dji, dji)
    assert table.peers(dji) == ()
    assert table.peers(SPX) == (NDX,)
    assert table.strike_step(dji) == 20.0


def test_a_group_is_paired_two_by_two_in_the_order_of_the_table():
    table = table_with({"DJI": "large_caps", "RUT": "large_caps", "OEX": "large_caps", "VIX": "", "VXN": ""})
    dji, rut, oex = Index("DJI"), Index("RUT"), Index("OEX")
    assert table.pairs == ((SPX, NDX), (dji, rut))
    assert table.pair_of(rut) == (dji, rut)
    assert table.pair_of(oex) == (oex, oex)
    assert table.peers(oex) == (SPX, NDX, dji, rut)
    assert table.peers(Index("VIX")) == (), "alone is no group"


def test_a_row_of_a_shipped_name_stands_instead_of_it_and_in_its_place():
    mine = InstrumentsSettings(
        indices={"ndx": IndexSettings(level=9_000.0)},
        series={"kxinxu": SeriesSettings(index="spx", cadence="hourly", step=50)},
    )
    table = instruments_of(mine)
    assert table.indices == (SPX, NDX)
    assert table.rows[NDX].level == 9_000.0
    assert table.pairs == ()
    assert table.series["KXINXU"].geometry.step == 50
    assert next(iter(table.series)) == "KXINXU"


@pytest.mark.parametrize("name", ["", "spx", "I:SPX", "SPX ", "TOOLONGNAME", "S&P", "SP\u212a", 500, None])
def test_what_cannot_be_a_name_is_no_index(name):
    with pytest.raises(ValueError, match="not the name of an index"):
        Index(name)


def test_an_index_is_its_name_wherever_it_comes_from():
    assert Index("SPX") == SPX
    assert len({Index("SPX"), SPX, NDX}) == 2
    assert copy.deepcopy(SPX) == SPX
    assert (f"{SPX}", SPX.value, json.dumps(SPX)) == ("SPX", "SPX", '"SPX"')
    assert [index_of_ticker(text) for text in ("I:SPX", "SPX", "X:SPX", "I:spx", "I:")] == [SPX, None, None, None, None]
