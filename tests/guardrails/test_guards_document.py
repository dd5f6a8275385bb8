"""docs/guards.md and the chain say the same: names, order, stages, closings, settings and their defaults."""

import re
import tokenize
from pathlib import Path

import pytest

from kalshi_daemon.settings.model import GuardSettings, Settings
from tests.guardrails.guard_rig import chain_of

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "guards.md").read_text()
ROW = re.compile(r"^\| `(?P<guard>[a-z_]+)` \|(?P<rest>.*)\|$", re.MULTILINE)


def section(title: str) -> str:
    return DOCUMENT.partition(f"## {title}")[2].partition("\n## ")[0]


def guards_in(text: str) -> list[str]:
    return [row["guard"] for row in ROW.finditer(text)]


def test_the_document_lists_the_window_guards_in_order():
    assert guards_in(section("Asked about a window")) == [guard.name for guard in chain_of().window_guards]


def test_the_document_lists_the_quote_guards_in_order():
    in_both = {guard.name for guard in chain_of().window_guards}
    expected = [guard.name for guard in chain_of().quote_guards if guard.name not in in_both]
    assert guards_in(section("Asked about each quote")) == expected
    assert tuple(guards_in(DOCUMENT)) == chain_of().names


def test_every_default_in_the_document_is_the_settings_default():
    settings = Settings()
    named = re.findall(r"`(guards|macro|retention)\.([a-z_]+)` = ([\d.]+)", DOCUMENT)
    assert len(named) >= 15
    for section_name, key, value in named:
        assert getattr(getattr(settings, section_name), key) == float(value), f"{section_name}.{key}"


def test_every_guard_setting_is_in_the_document():
    missing = [key for key in type(Settings().guards).model_fields if f"`guards.{key}`" not in DOCUMENT]
    assert missing == []


def test_only_macro_has_an_override_and_pulling_guards_say_so():
    pulls = {guard.name: guard.pulls for guard in (*chain_of().window_guards, *chain_of().quote_guards)}
    for row in ROW.finditer(DOCUMENT):
        cells = [cell.strip() for cell in row["rest"].split("|")]
        closing, override = cells[2], cells[4]
        assert (override == "none") is (row["guard"] != "macro"), row["guard"]
        assert ("pull" in closing or "as `daily_loss`" in closing) is pulls[row["guard"]], row["guard"]


@pytest.mark.parametrize("key", sorted(GuardSettings.model_fields))
def test_defect_21_every_threshold_is_one_setting_and_every_setting_reaches_its_guard(key):
    # The predecessor had seven different figures for one freshness; here a limit has one place and a guard reads it.
    usual = chain_of()
    doubled = GuardSettings(**{key: 2 * getattr(GuardSettings(), key) + 1})
    changed = chain_of(Settings(guards=doubled))
    assert changed != usual
    assert changed.names == usual.names


def test_defect_21_no_guard_carries_a_threshold_of_its_own():
    # Zeros and the bounds of a probability are not thresholds, 3 is a number of shown digits; the final minute has a
    # name. Anything else would be a limit hidden from the settings.
    allowed = {"0", "0.0", "1.0", "3"}
    for path in sorted((ROOT / "kalshi_daemon" / "guardrails").glob("*.py")):
        with path.open("rb") as source:
            numbers = {token.string for token in tokenize.tokenize(source.readline) if token.type == tokenize.NUMBER}
        assert numbers <= allowed, path.name
