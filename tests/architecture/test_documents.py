"""Pages that list what there is: each decision with its standing and date, each guard with what to do about it."""

import re
from datetime import date
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from tests.guardrails.guard_rig import chain_of

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
DECISIONS: Final = sorted((DOCS / "decisions").glob("*.md"))


@pytest.mark.parametrize("page", DECISIONS, ids=[page.name[:4] for page in DECISIONS])
def test_a_decision_has_its_number_a_status_and_a_date(page):
    title, status = page.read_text().split("\n\n")[:2]
    assert title.startswith(f"# {int(page.name[:4])}. ")
    found = re.fullmatch(r"Status: (accepted|replaced by \d{4}|accepted; to be [^.]+)\. Date: (\S+)\.", status)
    assert found, status
    date.fromisoformat(found[2])


def test_decisions_are_numbered_without_a_gap():
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_operator_is_told_what_to_do_about_every_guard():
    table = (DOCS / "operations.md").read_text().partition("| guard closed |")[2].partition("\n\n")[0]
    named = {
        name
        for row in table.splitlines()
        for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])
        if row.count("|") > 2
    }
    assert [name for name in chain_of().names if name not in named] == []


PICTURES: Final = sorted((DOCS / "images").glob("*.svg"))


@pytest.mark.parametrize("picture", PICTURES, ids=[picture.stem for picture in PICTURES])
def test_a_picture_needs_nothing_of_its_renderer(picture):
    """No variables, nothing loaded, and no text that is aligned by spaces which some renderers drop."""
    text = picture.read_text()
    root = ET.fromstring(text)
    assert "var(" not in text
    assert "@import" not in text
    assert "@font-face" not in text
    links = [value for one in root.iter() for name, value in one.items() if name.rpartition("}")[2] in {"href", "src"}]
    assert all(link.startswith("#") for link in links)
    indented = [one for one in root.iter() if (one.text or "").startswith("\u00a0")]
    assert not indented or root.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"


def test_the_picture_of_the_forecast_has_its_lines_bars_and_dots():
    root = ET.parse(DOCS / "images" / "calibration-ndx.svg").getroot()
    charts = root.findall("{*}svg")
    assert len(charts) == 5
    for chart in charts:
        shapes = [one.get("style", "") for one in chart.iter() if one.tag.endswith(("}path", "}use"))]
        assert any("#1f6fb2" in style for style in shapes), "drawn in colours, not in black"
        assert chart.findtext("{*}title")
