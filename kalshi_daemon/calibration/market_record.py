"""Our probabilities against the market's mids, written down at the same instant and compared after the fixing.

The first scan of a window in each of three spans before its fixing is kept: every market with a two-sided book no wider
than ten cents, the forecast's own probability (before any blend) and the others' mid. Once the contracts are determined
both are scored. The detector is the same as the model's own (`monitor`), with the mid as the baseline: one contract per
fixing, the one nearest even odds, so that its bound on false alarms holds whatever the contracts have in common.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isfinite
from typing import Any, Final

from kalshi_daemon.calibration.monitor import RATIO_MAX, RecordMonitor
from kalshi_daemon.calibration.scores import bernoulli_log_score, brier
from kalshi_daemon.calibration.watch import HALF_LIFE_SESSIONS, evidence_reading
from kalshi_daemon.domain.contract import Market
from kalshi_daemon.domain.forecast import Reading
from kalshi_daemon.domain.quote import Look, QuotePlan
from kalshi_daemon.ground.units import HOUR, MINUTE, PRICE_ONE, Nanos, Price

SPANS_MIN: Final = {"early": (40.0, 60.0), "middle": (20.0, 30.0), "late": (8.0, 15.0)}
"""Minutes before the fixing, (least, most]."""
WIDTH_MAX: Final = Price(1_000)
"""The mid of a wider book is nobody's opinion."""
PAIRS_MAX: Final = 40
PENDING_MAX: Final = 64
"""Events waiting for their results; beyond that the oldest is given up."""
PATIENCE: Final = Nanos(8 * HOUR)
"""An event without results this long after its fixing is given up."""
PROBABILITY_MIN: Final = 1e-4
"""Probabilities are held this far from 0 and 1: the log score of a certainty that fails is finite."""
N_MIN: Final = 100.0
LOG_GAIN_MIN: Final = -0.02
BRIER_GAIN_MIN: Final = -0.01
_YES: Final = "yes"
_RESULTS: Final = frozenset({_YES, "no"})


@dataclass(frozen=True, slots=True)
class Pair:
    """One contract as both saw it at one instant."""

    market_ticker: str
    model: float
    mid: float


@dataclass(slots=True)
class Pending:
    """An event whose fixing is still to come, or whose results are."""

    target_ns: Nanos
    marks: dict[str, tuple[Pair, ...]] = field(default_factory=dict)
    session: str = ""
    """Its day."""

    def tickers(self) -> set[str]:
        """The markets that wait for this fixing."""
        return {pair.market_ticker for pairs in self.marks.values() for pair in pairs}


type Settled = Mapping[str, tuple[tuple[float, float, bool], ...]]
"""Span -> (our probability, the mid, whether it settled YES) of each contract."""
type OnResolved = Callable[[str, Pending, Settled], None]
"""Told of an event that was scored: its ticker, what was kept of it, and what came."""


def no_listener(_event: str, _one: Pending, _settled: Settled) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class Gain:
    """Faded sums of one span: how much better than the mids we were, per event."""

    weight: float = 0.0
    log_gain: float = 0.0
    brier_gain: float = 0.0


@dataclass(slots=True)
class MarketRecord:
    """The record of one index. Single writer: the trader; implements `state.RecordView`."""

    gains: dict[str, Gain] = field(default_factory=lambda: {span: Gain() for span in SPANS_MIN})
    monitor: RecordMonitor = field(default_factory=lambda: RecordMonitor((0.0,)))
    pending: dict[str, Pending] = field(default_factory=dict)
    given_up: int = 0
    """Events whose results never came."""
    session: str = ""
    _tested_ns: Nanos = Nanos(0)
    """The last fixing the detector has had its contract of."""
    _readings: tuple[Reading, ...] | None = None
    on_resolved: OnResolved = no_listener

    def note(self, plan: QuotePlan) -> None:
        """Keep what a scan saw, when it is the first of its window in one of the spans."""
        self._begin(plan.window.session)
        tau = (plan.window.target_ns - plan.made_ns) / MINUTE
        span = next((name for name, (least, most) in SPANS_MIN.items() if least < tau <= most), None)
        if span is None:
            return
        event = plan.window.event_ticker
        known = self.pending.get(event)
        if known is not None and span in known.marks:
            return
        pairs = sorted(pairs_of(plan.looks), key=_even_odds)[:PAIRS_MAX]
        if not pairs:
            return
        waiting = self.pending.setdefault(event, Pending(plan.window.target_ns, session=plan.window.session))
        waiting.marks[span] = tuple(pairs)
        while len(self.pending) > PENDING_MAX:
            self.pending.pop(next(iter(self.pending)))
            self.given_up += 1

    def resolve(self, markets: Mapping[str, Market], now_ns: Nanos) -> int:
        """Score the events past their fixing whose contracts all have results; returns how many were."""
        over = [(event, one) for event, one in self.pending.items() if one.target_ns <= now_ns]
        done = 0
        for event, one in over:
            found = {ticker: markets[ticker].result for ticker in one.tickers() if ticker in markets}
            if len(found) == len(one.tickers()) and _RESULTS.issuperset(found.values()):
                settled = {ticker: result == _YES for ticker, result in found.items()}
                self._score(one, settled)
                done += 1
                self.on_resolved(event, one, _came(one, settled))
            elif now_ns - one.target_ns <= PATIENCE:
                continue
            else:
                self.given_up += 1
            del self.pending[event]
        return done

    def readings(self) -> tuple[Reading, ...]:
        if self._readings is None:
            found = [evidence_reading(self.monitor, "market_evidence")]
            for span, gain in self.gains.items():
                figures = (
                    ("market_log_gain", gain.log_gain, LOG_GAIN_MIN),
                    ("market_brier_gain", gain.brier_gain, BRIER_GAIN_MIN),
                )
                for name, total, low in figures:
                    value = total / gain.weight if gain.weight > 0.0 else None
                    found.append(Reading(name, span, value, gain.weight, N_MIN, low=low))
            self._readings = tuple(found)
        return self._readings

    def snapshot(self) -> dict[str, Any]:
        """What was learnt and what still waits for its results, as plain values."""
        return {
            "gains": {span: [one.weight, one.log_gain, one.brier_gain] for span, one in self.gains.items()},
            "evidence": list(self.monitor.evidence),
            "alarmed": self.monitor.alarmed,
            "seen": self.monitor.seen,
            "session": self.session,
            "tested_ns": int(self._tested_ns),
            "pending": [_pending_plain(event, one) for event, one in self.pending.items()],
        }

    @classmethod
    def restored(cls, document: Mapping[str, Any]) -> "MarketRecord":
        """The record of a snapshot. Raises ValueError for anything that is not one."""
        try:
            gains = {span: Gain(*(float(value) for value in document["gains"][span])) for span in SPANS_MIN}
            (evidence,) = (float(value) for value in document["evidence"])
            monitor = RecordMonitor((evidence,), bool(document["alarmed"]), int(document["seen"]))
            session, tested_ns = str(document["session"]), Nanos(int(document["tested_ns"]))
            # A document written before events that wait were kept has none.
            pending = dict(_pending_of(one) for one in document.get("pending", [])[-PENDING_MAX:])
        except (KeyError, TypeError, ValueError) as problem:
            raise ValueError(f"not a record against the market: {problem!r}") from problem
        numbers = [value for one in gains.values() for value in (one.weight, one.log_gain, one.brier_gain)]
        if not all(isfinite(value) for value in (*numbers, evidence)) or min(one.weight for one in gains.values()) < 0:
            raise ValueError("a record against the market holds finite numbers only")
        return cls(gains, monitor, pending, session=session, _tested_ns=tested_ns)

    def _begin(self, session: str) -> None:
        """A new session fades the sums; an alarm ends with its session."""
        if session <= self.session:
            return
        if self.session:
            kept = 2.0 ** (-1.0 / HALF_LIFE_SESSIONS)
            for gain in self.gains.values():
                gain.weight *= kept
                gain.log_gain *= kept
                gain.brier_gain *= kept
            self.monitor.next_session()
            self._readings = None
        self.session = session

    def _score(self, one: Pending, settled: Mapping[str, bool]) -> None:
        self._readings = None
        for span, pairs in one.marks.items():
            gain, share = self.gains[span], 1.0 / len(pairs)
            gain.weight += 1.0
            for pair in pairs:
                happened = settled[pair.market_ticker]
                gain.log_gain += share * _log_gain(pair, happened=happened)
                better = brier(pair.mid, happened=happened) - brier(pair.model, happened=happened)
                gain.brier_gain += share * better
        if one.target_ns <= self._tested_ns:
            return  # the close settles on the number of its hour: the same evidence must not count twice
        self._tested_ns = one.target_ns
        first = next(iter(one.marks.values()))[0]
        happened = settled[first.market_ticker]
        baseline, ours = (value if happened else 1.0 - value for value in (first.mid, first.model))
        self.monitor.learn((min(baseline / ours, RATIO_MAX),))


def pairs_of(looks: Iterable[Look]) -> Iterable[Pair]:
    """The markets with a forecast and a believable two-sided book."""
    for look in looks:
        bid, ask = look.best_bid, look.best_ask
        if bid is None or ask is None or not 0 < ask - bid <= WIDTH_MAX or look.outcome == "stale_book":
            continue
        if 0.0 <= look.model_fair <= 1.0:
            held = min(max(look.model_fair, PROBABILITY_MIN), 1.0 - PROBABILITY_MIN)
            yield Pair(look.market_ticker, held, (bid + ask) / (2.0 * PRICE_ONE))


def _came(one: Pending, settled: Mapping[str, bool]) -> Settled:
    return {
        span: tuple((pair.model, pair.mid, settled[pair.market_ticker]) for pair in pairs)
        for span, pairs in one.marks.items()
    }


def _pending_plain(event: str, one: Pending) -> dict[str, Any]:
    marks = {span: [[pair.market_ticker, pair.model, pair.mid] for pair in pairs] for span, pairs in one.marks.items()}
    return {"event": event, "target_ns": int(one.target_ns), "session": one.session, "marks": marks}


def _pending_of(found: Mapping[str, Any]) -> tuple[str, Pending]:
    """Raises KeyError, TypeError or ValueError for what `_pending_plain` did not write."""
    day = date.fromisoformat(found["session"]).isoformat()
    one = Pending(Nanos(int(found["target_ns"])), session=day)
    for span in SPANS_MIN:  # in their order: the first of them is the detector's
        if span in found["marks"]:
            pairs = [Pair(str(ticker), float(model), float(mid)) for ticker, model, mid in found["marks"][span]]
            if not pairs or not all(0.0 < pair.model < 1.0 and 0.0 < pair.mid < 1.0 for pair in pairs):
                raise ValueError(f"probabilities of {span} beside 0..1")
            one.marks[span] = tuple(pairs[:PAIRS_MAX])
    if not one.marks:
        raise ValueError("an event that waits without anything to compare")
    return str(found["event"]), one


def _even_odds(pair: Pair) -> tuple[float, str]:
    """By what the market says: chosen without knowing the result, and never by how far we are from it."""
    return abs(pair.mid - 0.5), pair.market_ticker


def _log_gain(pair: Pair, *, happened: bool) -> float:
    mine = bernoulli_log_score(pair.model, happened=happened)
    return mine - bernoulli_log_score(pair.mid, happened=happened)
