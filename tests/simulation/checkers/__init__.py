"""One promise per file. A checker looks at both sides and says in a sentence what it sees broken."""

from tests.simulation.checkers.blind import NotBlind
from tests.simulation.checkers.checker import Checker
from tests.simulation.checkers.covered import Covered
from tests.simulation.checkers.cutoff import GoneByCutoff
from tests.simulation.checkers.files import FilesFail
from tests.simulation.checkers.fills import FillsConserved
from tests.simulation.checkers.groups import NoGroupsLeaked
from tests.simulation.checkers.guards import GuardsOpen
from tests.simulation.checkers.health import Healthy
from tests.simulation.checkers.lease import WithinLease
from tests.simulation.checkers.losses import WithinBudget
from tests.simulation.checkers.money import MoneyEqual
from tests.simulation.checkers.shards import ShardTrades
from tests.simulation.checkers.stopped import StopMeansZero
from tests.simulation.checkers.twins import NoTwins
from tests.simulation.checkers.values import TrueValues


def all_checkers() -> list[Checker]:
    """A fresh set for one seed."""
    return [
        Covered(),
        NoTwins(),
        FillsConserved(),
        MoneyEqual(),
        WithinBudget(),
        GoneByCutoff(),
        WithinLease(),
        GuardsOpen(),
        NotBlind(),
        TrueValues(),
        ShardTrades(),
        NoGroupsLeaked(),
        StopMeansZero(),
        FilesFail(),
        Healthy(),
    ]


__all__ = ["Checker", "all_checkers"]
