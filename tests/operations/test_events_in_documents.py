"""A log event that a document names is one the daemon logs, and is named in full: it is what one greps at night."""

import re
from pathlib import Path
from typing import Final

from tests.operations.test_log_catalogue import catalogue

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
QUOTED: Final = re.compile(r"`([^`\n]+)`")
NAME: Final = re.compile(r"([a-z_]+)\.([a-z]+(?:_[a-z]+)*|\*)")
SHORT: Final = re.compile(r"\.[a-z]+(?:_[a-z]+)+")
TASKS: Final = re.compile(r"^## Tasks\n.*?^## ", re.MULTILINE | re.DOTALL)
"""Names of tasks have the same form; tests/architecture/test_architecture_document.py holds them."""
LOGGED: Final = re.compile(r'"event":"([a-z_.]+)"')
NO_EVENTS: Final = frozenset({"py", "md", "json", "toml", "csv", "log"})


def faults_of(text: str) -> list[str]:
    """Names of a subject of the log that nothing logs, names without their subject, and lines that nothing logs."""
    known, subjects = catalogue.meanings(), set(catalogue.subjects())
    settings = set(re.findall(r"^(?:# )?([a-z_]+) *=", (ROOT / "config.toml").read_text(), re.MULTILINE))
    found = [name for name in LOGGED.findall(text) if name not in known and name != "backfill.done"]
    for quoted in QUOTED.findall(text):
        if SHORT.fullmatch(quoted):
            found.append(quoted)
        name = NAME.fullmatch(quoted)
        if name is None:
            continue
        subject, said = name.groups()
        if said == "*":
            if subject not in subjects and (subject + "s" in subjects or "reconcil" in subject):
                found.append(quoted)
        elif subject in subjects and quoted not in known and said not in settings and said not in NO_EVENTS:
            found.append(quoted)
    return found


def test_every_event_that_a_document_names_is_logged():
    found = {page.name: faults for page in PAGES if (faults := faults_of(TASKS.sub("", page.read_text())))}
    assert found == {}


def test_a_short_or_wrong_name_is_found():
    said = "`book.silent`, `.witness_suspects`, `book.witness_disagreed` and `reconcile.*`; `feed.*`, `orders.lease_s`"
    assert faults_of(said) == [".witness_suspects", "book.witness_disagreed", "reconcile.*"]
