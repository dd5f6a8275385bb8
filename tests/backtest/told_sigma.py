"""How far the daemon's sigma is from that of the law the index was drawn from, cold and warm.

    python -m tests.backtest.told_sigma --seeds 1001..1040

writes the table of docs/laboratory.md (`make sigma`). The daemon's models alone are fed, second by second; no session
is played. Told is half the distance of the 16 and 84 % points of the distribution of the log return, which is one sigma
of a normal law; true is the law's.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from kalshi_daemon.backtest.warm_memory import warm_memory
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.memory.documents import decoded, restore
from kalshi_daemon.memory.models import models_of
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session
from kalshi_daemon.simulator.traders.true_distribution import TrueDistribution
from kalshi_daemon.windows.macro import MacroCalendar
from kalshi_daemon.windows.sessions import load_sessions

DAY: Final = date(2026, 11, 23)
FIXINGS_MIN: Final = (30, 90, 150, 210, 270, 330, 390)
"""Minutes from the open: 10:00 to 16:00."""
LEADS_MIN: Final = (25, 15, 5)
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "laboratory.md"
_BEGIN, _END = "<!-- sigma: begin -->\n", "<!-- sigma: end -->"
_SIXTEEN: Final = np.array([0.15866, 0.84134])


@dataclass(frozen=True, slots=True)
class Told:
    """One forecast."""

    fixing_min: int
    lead_min: int
    log_ratio: float
    """ln(told / true)."""


def told(settings: Settings, seed: int, *, warm: bool, fixings_min: Sequence[int] = FIXINGS_MIN) -> Iterator[Told]:
    """Every forecast of one session, of all indices."""
    sessions = load_sessions(DAY - timedelta(days=21), DAY)
    session = sessions.session_on(DAY)
    assert session is not None
    paths = synthesize_session(session, seed)
    models = models_of(settings, sessions, MacroCalendar())
    memory: Mapping[Index, bytes] = warm_memory(settings, DAY, seed) if warm else {}
    for index, content in memory.items():
        restore(models[index], decoded(content)["model"])
    for index, model in models.items():
        path, fed = paths[index], 0
        law = TrueDistribution(path)
        for fixing in fixings_min:
            for lead in LEADS_MIN:
                now, target = (Nanos(path.open_ns + minutes * MINUTE) for minutes in (fixing - lead, fixing))
                upto = (fixing - lead) * 60 + 1
                for second, value in enumerate(path.values[fed:upto].tolist(), start=fed):
                    at_ns = Nanos(path.open_ns + second * SECOND)
                    model.on_tick(Tick(index, Channel.VALUE, value, at_ns, at_ns))
                fed = upto
                forecast = model.forecast(now, target)
                assert forecast is not None
                low, high = np.log(forecast.quantiles(_SIXTEEN))
                yield Told(fixing, lead, math.log((high - low) / 2 / law.sigma(now, target)))


def spread(found: Sequence[Told]) -> tuple[float, float]:
    """Mean and standard deviation of the logarithms."""
    logs = [one.log_ratio for one in found]
    return float(np.mean(logs)), float(np.std(logs))


def table_of(settings: Settings, seeds: Sequence[int]) -> str:
    """Rows: minutes to the fixing; columns: cold and warm, all fixings, the first and the last."""
    found = {warm: [one for seed in seeds for one in told(settings, seed, warm=warm)] for warm in (False, True)}
    columns = [("all fixings", FIXINGS_MIN), ("10:00", FIXINGS_MIN[:1]), ("16:00", FIXINGS_MIN[-1:])]
    names = [f"{what}, {name}" for what, _ in columns for name in ("cold", "warm")]
    lines = [f"| minutes left | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for lead in LEADS_MIN:
        cells = []
        for _, fixings in columns:
            for warm in (False, True):
                chosen = [one for one in found[warm] if one.lead_min == lead and one.fixing_min in fixings]
                mean, sd = spread(chosen)
                cells.append(f"{mean:+.2f}, {sd:.3f}")
        lines.append(f"| {lead} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes the table into the document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="1001..1040")
    first, last = map(int, parser.parse_args().seeds.split(".."))
    table = table_of(load_settings(None, {}, None, {}).settings, range(first, last + 1))
    sys.stdout.write(table)
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    assert after, f"{DOCUMENT} has no place for it"
    DOCUMENT.write_text(before + _BEGIN + table + _END + after)


if __name__ == "__main__":
    main()
