"""docs/log-events.md says what the source logs: every event, its level, its fields and its meaning."""

import importlib.util
from pathlib import Path

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
