"""Nothing rests past the cutoff: looked at directly, and by the exchange's own record while no stranger spoils it."""

from collections.abc import Iterable
from typing import ClassVar

from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage


class GoneByCutoff(Checker):
    name: ClassVar[str] = "cutoff"

    def look(self, stage: Stage) -> Iterable[str]:
        records = stage.exchange.exchange.lifecycle.cutoffs
        now, member = stage.exchange.clock.now_ns(), stage.exchange.account.name
        for order in stage.exchange.resting():
            spec = order.market.spec
            record = records.get((member, spec.event_ticker))
            if record is not None and now >= record.cutoff_ns:
                yield f"{order.client_order_id} rests in {spec.event_ticker} after its cutoff"
        if stage.exchange.strangers:
            return
        for (name, event), record in records.items():
            if name == member and (record.at_cutoff or record.most_after):
                yield f"{event}: {record.at_cutoff} rested at the cutoff, {record.most_after} at most afterwards"
