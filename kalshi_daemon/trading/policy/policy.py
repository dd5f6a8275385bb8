"""What every quoting policy is. A policy is a pure object: what it has to remember is passed in and handed back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Profile, QuotePlan
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.trading.policy.picture import Picture


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What a plan is asked for: its id, by which profile, and what triggered it."""

    plan_id: str
    profile: Profile
    trigger: str


type Pulls = tuple[tuple[Order, str], ...]
"""Orders that should not rest any longer, each with the reason in one word (`ladder.outcomes`)."""


class Policy[Memory](Protocol):
    """Decides what we would like to rest, before any guard. No clock, no chance, no IO: equal inputs, equal answers.

    `Memory` is the policy's own kind of value and immutable: the loop keeps it between calls and knows nothing of it.
    """

    @property
    def name(self) -> str:
        """The name `config.toml` uses."""

    @property
    def requote_ns(self) -> Nanos | None:
        """How often a window is looked at for new quotes between the scans of the timer; None: not at all."""

    def initial(self) -> Memory:
        """What is remembered before anything was seen."""

    def plan(self, picture: Picture, request: ScanRequest, memory: Memory) -> tuple[QuotePlan, Memory]:
        """What the profile would like to rest in the window now. Empty when there is nothing to price."""

    def review(self, picture: Picture, resting: Sequence[Order], memory: Memory) -> tuple[Pulls, Memory]:
        """Which of these orders no longer pay for their risk; asked at every tick, between scans.

        `picture.markets` are those of the orders that are listed. Orders that cannot be priced are to be pulled.
        """

    def forget(self, memory: Memory, listed: Collection[str]) -> Memory:
        """The memory without markets that are not listed any more: a process may live for weeks."""
