"""One session of a soak: an exchange and a daemon as two processes, faults over the admin API, memory from /proc."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kalshi_daemon.orders.journal import journal_path
from tests.support.processes import Daemon, Processes, Simulator, pause

_MB = 1024 * 1024
_NS_PER_HOUR = 3_600_000_000_000
_LOOK_S = 0.2
WRITES = ("batch_create", "batch_cancel", "amend")
READS = ("orders", "fills", "positions", "balance", "settlements", "exchange_status", "orderbook", "markets")
Lever = Callable[[Simulator, random.Random], object]


@dataclass(slots=True)
class Sample:
    """Simulated hours since the start of this life, and what the daemon's process then held."""

    hours: float
    rss_mb: float


@dataclass(slots=True)
class SessionResult:
    """What one session showed."""

    hours: float
    samples: list[Sample]
    summary: dict[str, Any]
    exit_code: int
    orders: int
    fills: int
    journal_mb: float
    faults: Counter[str] = field(default_factory=Counter)
    archived: int = 0


def _injected(manner: str, when: str, **more: Any) -> Lever:
    def pull(sim: Simulator, rng: random.Random) -> None:
        operation = rng.choice(WRITES if rng.random() < 0.6 else READS)
        # A write that hangs is over when the daemon's own time-out says so.
        sim.faults(inject={"operation": operation, "manner": manner, "when": when, "times": 1, "hang_s": 0.5, **more})

    return pull


def _market(sim: Simulator, rng: random.Random) -> list[str]:
    resting = sim.resting()
    return [rng.choice(resting)["ticker"]] if resting else []


LEVERS: dict[str, Lever] = {
    "stream_drop": lambda sim, _rng: sim.faults(drop_streams=True),
    "stream_gap": lambda sim, rng: sim.faults(skip_seq={"channel": "orderbook_delta", "count": rng.randint(1, 3)}),
    "stream_duplicate": lambda sim, rng: sim.faults(stream={"duplicates": rng.randint(1, 20)}),
    "stream_reorder": lambda sim, rng: sim.faults(stream={"swaps": rng.randint(1, 5)}),
    "stream_lag": lambda sim, rng: sim.faults(stream={"lag_s": rng.uniform(0.005, 0.05)}),
    "stream_silence": lambda sim, _rng: sim.faults(stream={"muted": ["fill", "user_orders", "orderbook_delta"]}),
    "market_withheld": lambda sim, rng: sim.faults(stream={"withheld": _market(sim, rng)}),
    "http_5xx_before": _injected("status", "before"),
    "http_5xx_after": _injected("status", "after", status=500, code="internal_error"),
    "hang_after": _injected("hang", "after"),
    "drop_before": _injected("drop", "before"),
    "drop_after": _injected("drop", "after"),
    "cut_response": _injected("cut", "after"),
    "garbage": _injected("garbage", "after"),
    "storm_429": lambda sim, rng: sim.faults(
        inject={"operation": "*", "status": 429, "code": "too_many_requests", "times": rng.randint(5, 60)}
    ),
    "races": lambda sim, rng: sim.faults(races={"crossings": rng.randint(1, 3), "takes": rng.randint(1, 3)}),
    "pause": lambda sim, _rng: sim.admin("pause", {"exchange": False}),
    "cancels_refused": lambda sim, _rng: sim.faults(refuse_cancels=True),
}


def _calm(sim: Simulator) -> None:
    """Everything that lasts is over."""
    sim.faults(clear=True, races={"crossings": 0, "takes": 0})
    sim.admin("resume", {})


def rss_mb(pid: int) -> float:
    """Resident memory of a process; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / _MB


def journal_mb(journal: Path) -> float:
    """Size of a journal with its write-ahead log, archives not counted."""
    return sum(path.stat().st_size for path in journal.parent.glob(f"{journal.name}*")) / _MB


def play(
    processes: Processes, span: tuple[str, ...], *, seed: int, speed: float, fault_every_h: float
) -> SessionResult:
    """Play one session under faults to its end. Raises AssertionError when it does not end."""
    rng = random.Random(f"soak-{seed}")
    sim = processes.simulator(*span, "--speed", str(speed), "--seed", str(seed), "--hold", "60").wait_ready()
    env = {"KALSHI_DAEMON_ORDERS__ARCHIVE_AFTER_DAYS": "1"}
    daemon = processes.daemon("--connect", sim.admin_url, state="state", env=env).wait_ready()
    journal = journal_path(processes.folder / "state" / "sim")
    began = now = sim.now_ns()
    end_ns = int(sim.ready["end_ns"])
    result = SessionResult(0.0, [], {}, -1, 0, 0, 0.0)
    next_fault, calm_at = began, 0
    while daemon.running:
        pause(_LOOK_S)
        now = max(now, min(sim.now_ns(), end_ns))
        # Hours of quoting are judged: what a stop reads and writes once, the digest above all, grows no more.
        if now < end_ns and (held := rss_mb(daemon.pid)):
            result.samples.append(Sample((now - began) / _NS_PER_HOUR, held))
        result.journal_mb = max(result.journal_mb, journal_mb(journal))
        if calm_at and now >= calm_at:
            _calm(sim)
            calm_at = 0
        # The last minutes are calm: what the books say in the end is judged.
        if now >= next_fault and not calm_at and now < end_ns - _NS_PER_HOUR // 6:
            kind = rng.choice(sorted(LEVERS))
            LEVERS[kind](sim, rng)
            result.faults[kind] += 1
            calm_at = now + int(rng.uniform(5, 60) * 1e9)
            next_fault = now + int(rng.expovariate(1 / fault_every_h) * _NS_PER_HOUR)
        _trim(daemon)
    result.exit_code = daemon.wait()
    result.summary = daemon.lines()[-1]
    truth = sim.truth()
    result.orders, result.fills = truth["orders_total"], len(truth["fills"])
    result.hours = (now - began) / _NS_PER_HOUR
    result.archived = sum(line["orders"] for line in daemon.events("journal.archived"))
    sim.kill()
    return result


def _trim(daemon: Daemon) -> None:
    """Keep of the log what is looked at: a day of lines is not the soak's to hold."""
    if len(daemon.out) > 20_000:
        kept = [line for line in daemon.out[:-2_000] if '"journal.archived"' in line]
        daemon.out[:-2_000] = kept


def wall_s() -> float:
    return time.monotonic()
