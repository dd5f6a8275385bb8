"""findings/README.md has one row a script, and nothing of it runs by itself."""

import os
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "findings"


def scripts() -> list[Path]:
    return sorted(path for path in FOLDER.iterdir() if path.name != "README.md" and not path.name.startswith("__"))


def test_every_script_has_a_row_and_every_row_a_script():
    rows = re.findall(r"^\| `([^`]+)` \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert rows == [path.name for path in scripts()]
    assert rows


def test_every_script_can_be_started_by_hand_and_says_what_was_seen():
    for path in scripts():
        assert os.access(path, os.X_OK), path.name
        assert "Seen: " in path.read_text(), f"{path.name} does not say what was seen"


def test_no_target_and_no_check_starts_them():
    for place in (ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "pyproject.toml"):
        assert "findings" not in place.read_text(), place.name
