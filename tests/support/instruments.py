"""The shipped series by name, and a table with one index more."""

from datetime import time

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.settings.instruments import IndexSettings, InstrumentsSettings, SeriesSettings, instruments_of
from kalshi_daemon.simulator.exchange.listing import geometry_of, specs_of

SERIES = SHIPPED_INSTRUMENTS.series
KXINXU = SERIES["KXINXU"]
KXNASDAQ100U = SERIES["KXNASDAQ100U"]
KXINX = SERIES["KXINX"]
INDICES = SHIPPED_INSTRUMENTS.indices
SPECS = specs_of(SHIPPED_INSTRUMENTS)
"""The series as the simulated exchange describes them."""
GEOMETRY = geometry_of(SHIPPED_INSTRUMENTS)
PAIR = SHIPPED_INSTRUMENTS.pairs[0]
DJI = Index("DJI")


def rows_of_three(group: str = "") -> InstrumentsSettings:
    """The shipped rows, and DJI with an hourly series, in this group."""
    return InstrumentsSettings(
        indices={
            "DJI": IndexSettings(
                title="Dow Jones", level=46_000.0, correlation_group=group, stand_ins=("YM", "DIA x 100")
            )
        },
        series={"KXDJIH": SeriesSettings(index="DJI", cadence="hourly", step=50, first_fixing=time(11))},
    )


def three(group: str = "") -> Instruments:
    return instruments_of(rows_of_three(group))
