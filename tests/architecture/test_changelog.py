"""What CHANGELOG.md says was renamed is what the code knows as renamed."""

import re
import tomllib
from pathlib import Path
from typing import Final

from kalshi_daemon import __version__
from kalshi_daemon.digest.renamed_events import RENAMED as RENAMED_EVENTS
from kalshi_daemon.settings.renamed import RENAMED, new_name

ROOT: Final = Path(__file__).resolve().parents[2]
CHANGELOG: Final = (ROOT / "CHANGELOG.md").read_text()
FEED: Final = "macro.feeds.<name>."


def rows(title: str) -> list[tuple[str, ...]]:
    """The cells of the table under `title:`, or `title (more):`, without its heading."""
    table = re.split(rf"\n{re.escape(title)}(?: \([^)]*\))?:\n\n", CHANGELOG, maxsplit=1)[-1].partition("\n\n")[0]
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()]
    return cells[2:]


def test_every_renamed_key_is_listed_and_nothing_else():
    listed = {old.strip("`"): new.strip("`") for old, new in rows("Configuration")}
    assert listed == {**RENAMED, f"{FEED}age_most_hours": f"{FEED}age_hours_max"}
    assert new_name("macro.feeds.cpi.age_most_hours") == "macro.feeds.cpi.age_hours_max"


def test_every_renamed_event_is_listed_and_nothing_else():
    listed = {old.strip("`"): new.strip("`") for old, new in rows("Log events")}
    assert listed == dict(RENAMED_EVENTS)
    meanings = tomllib.loads((ROOT / "docs" / "log-events.toml").read_text())["events"]
    assert sorted(new for new in listed.values() if new not in meanings) == []


def test_every_event_with_a_renamed_field_is_an_event():
    meanings = tomllib.loads((ROOT / "docs" / "log-events.toml").read_text())["events"]
    listed = rows("Log fields")
    assert len(listed) >= 4
    assert [event for event, _old, _new in listed if event.strip("`") not in meanings] == []


def test_every_new_module_is_there():
    listed = [new for _old, new in rows("Python modules, below `kalshi_daemon`")]
    named = [name for cell in listed for name in re.findall(r"`([a-z_]+\.[a-z_.]+)`", cell)]
    missing = [one for one in named if not (ROOT / "kalshi_daemon" / f"{one.replace('.', '/')}.py").is_file()]
    assert len(named) >= 15
    assert missing == []


def test_the_version_has_a_heading():
    assert f"\n## [{__version__}] - " in CHANGELOG
