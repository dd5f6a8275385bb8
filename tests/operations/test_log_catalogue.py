"""docs/log-events.md says what the source logs: every event, its level, its fields and its meaning."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _script():
    spec = importlib.util.spec_from_file_location("log_catalogue", ROOT / "scripts" / "log_catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


catalogue = _script()


def test_every_event_has_a_meaning_and_every_meaning_an_event():
    events, meanings = catalogue.events(), catalogue.meanings()
    assert sorted(events.keys() - meanings.keys()) == [], "say it in docs/log-events.toml, then make log-events"
    assert sorted(meanings.keys() - events.keys()) == [], "nothing logs these any more"
    assert len(events) > 100, "the source was read"


STATES = frozenset({
    "done", "empty", "exhausted", "found", "full", "left", "lost", "missing", "ran", "read", "ready",
    "reconnecting", "reset", "seen", "sent", "set", "shut", "silent", "starting", "status", "summary",
    "taken", "unanswered", "unknown", "unreadable", "withheld", "without", "written",
})  # fmt: skip
"""Words that say how something is or, without an -ed, what has happened."""


def faults_of(name: str, subjects: frozenset[str]) -> list[str]:
    """What is wrong with the form of an event's name: `subject.past_tense`, lower case, a known subject."""
    if re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", name) is None:
        return ["not two parts in lower case"]
    subject, said = name.split(".")
    words = said.split("_")
    faults = [] if subject in subjects else ["not a subject of docs/log-events.toml"]
    if not any(word in STATES or word.endswith("ed") for word in words):
        faults.append("says neither what has happened nor how something is")
    return faults


def test_every_event_has_the_form_subject_dot_past_tense():
    subjects = frozenset(catalogue.subjects())
    found = {name: faults for name in catalogue.events() if (faults := faults_of(name, subjects))}
    assert found == {}, "docs/log-events.toml says how an event is named"
    assert subjects == {name.split(".")[0] for name in catalogue.events()}, "no subject without an event"
    assert not [one for one in subjects if f"{one}s" in subjects], "one word a subject, not singular and plural"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("stop.UNVERIFIED", "not two parts in lower case"),
        ("stop.cancel_all.verified", "not two parts in lower case"),
        ("stopped", "not two parts in lower case"),
        ("orders.refused", "not a subject of docs/log-events.toml"),
        ("order.stranger", "says neither what has happened nor how something is"),
        ("order.waits", "says neither what has happened nor how something is"),
    ],
)
def test_a_name_of_another_form_is_refused(name, fault):
    assert faults_of(name, frozenset({"order", "stop"})) == [fault]


def test_the_page_is_what_the_source_says():
    assert catalogue.PAGE.read_text() == catalogue.page(), "make log-events"


def test_no_call_of_the_logger_escapes_the_reader():
    """Both pass on what somebody else names, which is read where it is named."""
    assert catalogue.unnamed() == ["kalshi/stream.py:_log_notes", "orders/groups.py:_say_halt"]


def test_the_reader_sees_each_form_of_a_call(tmp_path):
    (tmp_path / "one.py").write_text(
        "def f():\n"
        "    log.info('a.plain', x=1)\n"
        "    level = log.info if ok else log.error\n"
        "    level('a.held' if ok else 'b.held', y=2)\n"
        "    (log.debug if ok else log.warning)('a.chosen', **more)\n"
        "    name = 'a.named'\n"
        "    log.exception(name)\n"
        "    notes.append(Note('a.note', {}))\n"
    )
    events = catalogue.events(tmp_path)
    assert {name: sorted(event.levels) for name, event in events.items()} == {
        "a.chosen": ["debug", "warning"],
        "a.held": ["error", "info"],
        "a.named": ["error"],
        "a.note": ["warning"],
        "a.plain": ["info"],
        "b.held": ["error", "info"],
    }
    assert events["a.plain"].fields == {"x"}
    assert events["a.chosen"].open


def test_an_event_without_a_meaning_shows_on_the_page(monkeypatch):
    monkeypatch.setattr(catalogue, "meanings", dict)
    assert "| `daemon.ready` | info | `reconciled` | ? |" in catalogue.page()


PROOFS = ("simulation", "kills", "way_down", "soak", "service")


def names_in(folder: Path) -> dict[str, str]:
    """What looks like an event's name in the texts of these sources, and where."""
    subjects, found = set(catalogue.subjects()), {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                subject, _, said = node.value.partition(".")
                if subject in subjects and re.fullmatch(r"[a-z]+(_[a-z]+)*", said):
                    found[node.value] = f"{path.relative_to(ROOT)}:{node.lineno}"
    return found


@pytest.mark.parametrize("proof", PROOFS)
def test_what_a_proof_looks_for_in_the_log_is_an_event(proof):
    found, known = names_in(ROOT / "tests" / proof), catalogue.events()
    assert found, "it reads the log"
    assert {name: where for name, where in found.items() if name not in known} == {}


def test_what_the_fault_matrix_leaves_out_is_said_by_something():
    from tests.simulation.matrix import _SAYS, _SKIPPED  # noqa: PLC0415 - half a second

    known = catalogue.events()
    assert _SAYS.keys() <= known.keys()
    assert [one for one in _SKIPPED if not any(name.startswith(one) for name in known)] == []


def test_a_renamed_event_in_a_proof_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "one.py").write_text("said['window.planned', ''] += 1; path = 'kalshi.https://x'\n")
    assert names_in(tmp_path) == {"window.planned": "one.py:1"}
    assert "window.planned" not in catalogue.events()
