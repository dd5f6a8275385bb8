"""Everyone who trades in one simulated session."""

from collections.abc import Callable, Sequence

import numpy as np

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.simulator.traders.alert import AlertMaker, FlowTakers
from kalshi_daemon.simulator.traders.traders import Ladder, Law, Maker, MarketAccess, Takers, TraderMix


class Crowd:
    """Everyone who trades in one session, in a fixed order."""

    def __init__(
        self,
        ladders: Sequence[Ladder],
        mix: TraderMix,
        seed: int,
        value_at: dict[Index, Callable[[Nanos], float]],
        law_to: Callable[[Index, Nanos, Nanos], Law],
    ) -> None:
        """`law_to(index, now, target)` is the true law of the log return from now to the target."""
        self._value_at = value_at
        self._law_to = law_to
        self._alert = mix.notice_s is not None
        self._members: list[tuple[Ladder, list[Maker | Takers]]] = []
        for number, ladder in enumerate(ladders):
            rng = np.random.default_rng([seed, number])
            members: list[Maker | Takers] = [
                (Maker if mix.notice_s is None else AlertMaker)(f"maker-{number}-{place}", ladder, mix, rng)
                for place in range(mix.makers)
            ]
            members.append((Takers if mix.notice_s is None else FlowTakers)(f"takers-{number}", ladder, mix, rng))
            self._members.append((ladder, members))

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(
            name
            for _ladder, members in self._members
            for member in members
            for name in (member.accounts if isinstance(member, FlowTakers) else (member.name,))
        )

    def act(self, now_ns: Nanos, market: MarketAccess) -> None:
        """Let everyone whose event trades now do what is due. Called once per simulated second."""
        traded = market.traded() if self._alert else ()
        for ladder, members in self._members:
            if not ladder.trades_from_ns <= now_ns < ladder.target_ns:
                continue
            law = self._law_to(ladder.index, now_ns, ladder.target_ns)
            for member in members:
                if traded and isinstance(member, AlertMaker):
                    member.on_trades(now_ns, traded, market)
                member.act(now_ns, market, self._value_at[ladder.index], law)
