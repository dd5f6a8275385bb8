"""The status as Prometheus metrics: made anew at each request, in a registry of their own, with bounded labels.

Labels take their values from closed sets: guards, phases, budgets, indices of the table, names of ages. Nothing is
counted here: what the status knows is said in Prometheus' words. What is unknown has no sample, never a zero.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.units import CONTRACT, DOLLAR, Dollars
from kalshi_daemon.operations.status import DaemonStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "kalshi_daemon_"
_MS_PER_S = 1_000


class StatusCollector(Collector):
    """Says the status of the moment it is asked."""

    def __init__(self, look: Callable[[], DaemonStatus]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        """Every family, in a fixed order."""
        status = self._look()
        yield from _run(status)
        yield from _quoting(status)
        yield from _money(status)
        yield from _sources(status)

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry need not ask before there is a run."""
        return iter(())


def registry_of(look: Callable[[], DaemonStatus]) -> CollectorRegistry:
    """A registry of its own: the run, and what the kernel says of the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(look))
    ProcessCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """The text that Prometheus reads."""
    return generate_latest(registry)


def _gauge(name: str, words: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(PREFIX + name, words, value=float(value))


def _counter(name: str, words: str, value: float) -> Iterator[Metric]:
    yield CounterMetricFamily(PREFIX + name, words, value=value)


def _labelled(name: str, words: str, label: str, values: dict[str, float]) -> Iterator[Metric]:
    family = GaugeMetricFamily(PREFIX + name, words, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    yield family


def _run(status: DaemonStatus) -> Iterator[Metric]:
    facts = status.facts
    info = GaugeMetricFamily(PREFIX + "info", "Always 1; which daemon it is.", labels=["version", "mode"])
    info.add_metric([facts.version, facts.mode], 1.0)
    yield info
    yield from _gauge("armed", "Whether it may send orders at all.", status.armed)
    yield from _gauge("ready", "Whether books agreed once and the tasks run.", facts.ready)
    yield from _gauge("stopping", "Whether it is shutting down.", bool(status.stopping))
    yield from _gauge("kill_switch_engaged", "Whether the kill switch is engaged.", status.kill_switch)
    yield from _gauge("reconciled", "Whether our books and the exchange's agree.", status.reconciled)
    age_ms = facts.progress_age_ms
    yield from _gauge(
        "progress_age_seconds", "Since the decision loop turned.", None if age_ms is None else age_ms / _MS_PER_S
    )


def _quoting(status: DaemonStatus) -> Iterator[Metric]:
    yield from _gauge("quoting", "Whether a new quote may be sent in some window.", status.quoting)
    names = () if status.facts.chain is None else [guard.name for guard in status.facts.chain.window_guards]
    closed = dict.fromkeys(names, 0.0) | {one.guard: float(len(one.windows)) for one in status.closed}
    yield from _labelled("guard_closed_windows", "Windows in which a guard refuses new quotes.", "guard", closed)
    phases = Counter(one.phase.value for one in status.windows)
    by_phase = {phase.value: float(phases.get(phase.value, 0)) for phase in Phase}
    yield from _labelled("windows", "Windows of the session by phase.", "phase", by_phase)
    yield from _gauge("order_groups_halted", "Profiles that the exchange's brake stopped.", len(status.halted))
    yield from _counter("scans", "Scans since the start.", status.scans)
    yield from _counter("orders_placed", "Orders placed since the start.", status.orders_placed)
    yield from _counter("orders_cancelled", "Orders cancelled since the start.", status.orders_cancelled)


def _money(status: DaemonStatus) -> Iterator[Metric]:
    yield from _gauge("orders_resting", "Orders that may still trade.", status.resting_total)
    yield from _gauge("orders_quarantined", "Orders in quarantine.", status.quarantined)
    yield from _gauge("positions", "Markets with a position that is not paid.", status.positions_total)
    yield from _gauge("contracts_held", "Contracts of either side not paid yet.", status.contracts_held / CONTRACT)
    yield from _gauge("fills", "Fills in the ledger.", status.fills)
    pnl = {"day": _dollars(status.pnl_today), "week": _dollars(status.pnl_week)}
    yield from _labelled("pnl_dollars", "Settled profit and loss since midnight, and since Monday.", "span", pnl)
    yield from _gauge("fees_dollars", "Fees in the ledger.", _dollars(status.fees))
    yield from _gauge("disputed_dollars", "Paid by markets in dispute.", _dollars(status.disputed))
    used = {name: one.used / one.limit for name, one in status.budgets.items()}
    yield from _labelled("budget_used_ratio", "Lost or at risk, as a share of the budget.", "budget", used)
    limits = {name: _dollars(one.limit) for name, one in status.budgets.items()}
    yield from _labelled("budget_limit_dollars", "The loss budgets.", "budget", limits)


def _sources(status: DaemonStatus) -> Iterator[Metric]:
    yield from _gauge("session_open", "Whether the regular session is on.", status.session_open)
    yield from _gauge("feed_connected", "Whether the index feed is connected.", status.feed_connected)
    yield from _gauge("stream_up", "Whether the exchange's stream is up.", status.stream_up)
    values = {name: one.value for name, one in status.indices.items() if one.value is not None}
    yield from _labelled("index_value", "Last value that was accepted.", "index", values)
    ages = {name: age / _MS_PER_S for name, age in status.ages.items() if age is not None}
    yield from _labelled("age_seconds", "Age of what decides whether anything is quoted.", "of", ages)
    yield from _gauge("disk_free_bytes", "Room on the state directory's volume.", status.disk_free_bytes)


def _dollars(amount: Dollars) -> float:
    return amount / DOLLAR
