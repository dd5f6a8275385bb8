"""Every number of the settings with its range, found by walking the model: a new key is covered by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, nextafter
from typing import Any, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from pydantic import BaseModel

from kalshi_daemon.settings.environment import ENV_PREFIX
from kalshi_daemon.settings.model import Settings

NAME = "x"
"""Of an entry of a table whose names are the operator's."""
BESIDE: Mapping[str, Mapping[str, Any]] = {
    f"instruments.indices.{NAME}": {"level": 1_000.0},
    f"instruments.series.{NAME}": {"index": "SPX", "cadence": "hourly", "step": 5},
    f"calibration.events.{NAME}": {"multiplier": 1.5, "decay_min": 20.0},
    f"macro.feeds.{NAME}": {"path": "/x", "age_hours_max": 2.0},
}
"""What such an entry needs besides the key that is drawn."""


@dataclass(frozen=True)
class Numeric:
    """One numeric key. `low` and `high` are None where the model gives no bound."""

    key: str
    whole: bool
    low: float | None
    high: float | None
    low_open: bool = False
    high_open: bool = False

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.key.upper().replace(".", "__")

    @property
    def entry(self) -> str:
        """What a document can hold once: the key, or the operator's table it lies in."""
        table = self.key.rpartition(".")[0]
        return table if table in BESIDE else self.key

    def inside(self) -> st.SearchStrategy[float]:
        assert self.low is not None
        assert self.high is not None
        if self.whole:
            return st.integers(int(self.low) + self.low_open, int(self.high) - self.high_open)
        return st.floats(self.low, self.high, exclude_min=self.low_open, exclude_max=self.high_open)

    def outside(self) -> st.SearchStrategy[float]:
        assert self.low is not None
        assert self.high is not None
        if self.whole:
            least, greatest = int(self.low) - (not self.low_open), int(self.high) + (not self.high_open)
            return st.integers(-(2**70), least) | st.integers(greatest, 2**70) | st.sampled_from([least, greatest])
        below = self.low if self.low_open else nextafter(self.low, -inf)
        above = self.high if self.high_open else nextafter(self.high, inf)
        return st.floats(max_value=below) | st.floats(min_value=above) | st.sampled_from([below, above])

    def document(self, value: object) -> str:
        """A configuration file that gives this key, written `value`, and what must stand beside it."""
        table, _, name = self.key.rpartition(".")
        lines = [f"{table}.{other} = {plain!r}" for other, plain in BESIDE.get(table, {}).items() if other != name]
        return "\n".join([*lines, f"{self.key} = {value}", ""])

    def environ(self, text: str) -> dict[str, str]:
        """Variables that give the same."""
        table, _, name = self.key.rpartition(".")
        prefix = ENV_PREFIX + table.upper().replace(".", "__") + "__"
        beside = {prefix + other.upper(): str(plain) for other, plain in BESIDE.get(table, {}).items() if other != name}
        return beside | {self.variable: text}


def _walk(model: type[BaseModel], prefix: str) -> Iterator[Numeric]:
    for name, field in model.model_fields.items():
        key, kind = prefix + name, field.annotation
        kinds = get_args(kind) if get_origin(kind) is not None else (kind,)
        if get_origin(kind) is dict:
            key, kinds = f"{key}.{NAME}", kinds[1:]
        for one in kinds:
            if one in {int, float}:
                yield _numeric(key, one is int, field.metadata)
            elif isinstance(one, type) and issubclass(one, BaseModel):
                yield from _walk(one, f"{key}.")


def _numeric(key: str, whole: bool, metadata: list[Any]) -> Numeric:
    low = next((m for m in metadata if isinstance(m, (Ge, Gt))), None)
    high = next((m for m in metadata if isinstance(m, (Le, Lt))), None)
    return Numeric(
        key,
        whole,
        float(low.ge if isinstance(low, Ge) else low.gt) if low else None,  # type: ignore[arg-type]
        float(high.le if isinstance(high, Le) else high.lt) if high else None,  # type: ignore[arg-type]
        isinstance(low, Gt),
        isinstance(high, Lt),
    )


NUMERIC = tuple(_walk(Settings, ""))
