"""Scans, audit lines and a writer on a folder of its own."""

from pathlib import Path
from typing import Any

import orjson

from kalshi_daemon.artifacts.session import SessionTotals
from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.domain.verdict import Judgement
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.state import DaemonState
from tests.guardrails.guard_rig import NOW, chain_of, healthy, plan_of

RUN = "r1"


def writer_on(root: Path, clock: ManualClock | None = None, run_id: str = RUN, **bounds: int) -> ArtifactWriter:
    return ArtifactWriter(root, clock or ManualClock(NOW), run_id=run_id, mode="sim", **bounds)


def judged(plan: QuotePlan | None = None, state: DaemonState | None = None) -> tuple[QuotePlan, Judgement]:
    plan = plan or plan_of()
    return plan, chain_of().judge_plan(state or healthy(), plan, NOW)


def read(path: Path) -> Any:
    return orjson.loads(path.read_bytes())


def manifests(root: Path) -> list[Path]:
    """Every manifest below the folder, in order of name."""
    return sorted((root / "data" / "raw" / "kalshi").glob("*/*/*/manifest.json"))


def fill(market: str, count: str = "1.00", fee: str = "0.0000", **more: str) -> dict[str, Any]:
    return {"action": "fill", "market": market, "side": "bid", "price": "0.4200", "count": count, "fee": fee, **more}


def settle(market: str, profit: str | None = "0.5800", **more: str) -> dict[str, Any]:
    return {
        "action": "settle",
        "market": market,
        "result": "yes",
        "count": "1.00",
        "profit": profit,
        "fees": "0.0000",
        "series_profit_today": profit,
        **more,
    }


def totals(**changes: Any) -> SessionTotals:
    """Of a session in which nothing happened."""
    nothing = {"windows_scanned": 0, "scans": 0, "orders_placed": 0, "orders_cancelled": 0, "fills": 0}
    money = dict.fromkeys(("contracts", "fees_dollars", "pnl_dollars", "exchange_pnl_dollars"), "0.0000")
    end = {"books_equal": True, "books_detail": "", "resting_at_end": 0, "resting_after_cutoff_max": 0}
    return SessionTotals(**{**nothing, **money, **end, "verified": True, **changes})
