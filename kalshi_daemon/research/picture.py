"""What every chart of a report has in common: a picture with its note, its widths, and the hours of a session."""

from dataclasses import dataclass
from typing import Final

from kalshi_daemon.research.chart import Chart

Z95: Final = 1.96
SESSION_MIN: Final = 390.0
HOURS: Final = tuple((30.0 + 60.0 * n, f"{10 + n}:00") for n in range(7))
"""Full hours of New York, in minutes after the open."""
WIDE: Final = 1140.0
"""A row of the page."""
NARROW: Final = 376.0
"""Three in a row."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, and in a sentence what it should look like when all is well."""

    chart: Chart
    note: str
