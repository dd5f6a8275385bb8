"""Where artifacts lie below `state/<mode>/`, named as in docs/reference/predecessor.md 5. Dates and times: New York."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kalshi_daemon.ground.new_york import eastern, eastern_day
from kalshi_daemon.ground.units import Nanos

MANIFEST: Final = "manifest.json"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_SCAN_FOLDER: Final = re.compile(r"([0-9]{6})(?:_([0-9]{1,7}))?")
_DAY_FOLDER: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_of(ns: Nanos) -> str:
    """The New York date, YYYY-MM-DD."""
    return eastern_day(ns).isoformat()


def safe_name(text: str) -> str:
    """A text from outside as one path component; never empty, never a dot name."""
    return _UNSAFE.sub("_", text).strip(".") or "_"


def is_day(name: str) -> bool:
    """Whether a folder is that of a day: YYYY-MM-DD."""
    return _DAY_FOLDER.fullmatch(name) is not None


def scan_order(name: str) -> tuple[str, int] | None:
    """How scan folders of a day sort: HHMMSS, then the collision number. None for a foreign name."""
    found = _SCAN_FOLDER.fullmatch(name)
    return None if found is None else (found[1], int(found[2] or 0))


@dataclass(frozen=True, slots=True)
class ArtifactPaths:
    """`root` is the mode's directory. Nothing here touches the disk."""

    root: Path

    @property
    def scans(self) -> Path:
        """Parent of the days' folders of scans."""
        return self.root / "data" / "raw" / "kalshi"

    def scan_folder(self, at_ns: Nanos, collision: int, series_ticker: str) -> Path:
        """The folder of one scan's manifest: <date>/<HHMMSS[_n]>/<SERIES>.

        `collision`: scans of the same second before this one.
        """
        name = f"{eastern(at_ns):%H%M%S}" + (f"_{collision}" if collision else "")
        return self.scans / day_of(at_ns) / name / safe_name(series_ticker)

    def audit(self, day: str) -> Path:
        """The audit log of a day."""
        return self.root / "data" / "proc" / "audit" / f"live_orders_{day}.jsonl"

    def markouts(self, day: str) -> Path:
        """Where the market went after the fills of a day."""
        return self.root / "data" / "proc" / "markouts" / f"{day}.jsonl"

    def report(self, series_ticker: str, day: str) -> Path:
        """The report of a series on a day, as Markdown."""
        return self.root / "reports" / safe_name(series_ticker) / f"{day}.md"

    def report_facts(self, series_ticker: str, day: str) -> Path:
        """What the report is rendered from, kept so that a restart continues the day's report."""
        return self.root / "data" / "proc" / "reports" / safe_name(series_ticker) / f"{day}.json"

    def digest_page(self, day: str) -> Path:
        """The digest of a day for people."""
        return self.root / "reports" / f"{day}-digest.md"

    def digest(self, day: str) -> Path:
        """The same for programs."""
        return self.root / "reports" / "_artifacts" / f"digest_{day}.json"

    @property
    def pilot_session(self) -> Path:
        """The last session's summary."""
        return self.root / "reports" / "_artifacts" / "pilot_session.json"

    def session(self, day: str, run_id: str) -> Path:
        """The same, one file per session, never overwritten by another run."""
        return self.root / "reports" / "_artifacts" / "sessions" / f"{day}_{safe_name(run_id)}.json"

    def monitor(self, name: str) -> Path:
        """The monitor document of this name."""
        return self.root / "reports" / "_artifacts" / "monitors" / f"{safe_name(name)}.json"

    @property
    def go_no_go(self) -> Path:
        return self.root / "reports" / "_artifacts" / "go_no_go.json"
