"""Every kind of document we keep: what is written is read again; what is missing is named; what is newer is said."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.artifacts.manifest import Manifest, build_manifest
from kalshi_daemon.artifacts.monitors import GoNoGo, IndexRecord, MonitorBoard, WindowVerdicts
from kalshi_daemon.artifacts.report import DayFacts
from kalshi_daemon.artifacts.session import SessionSummary, build_session
from kalshi_daemon.domain.forecast import Reading
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.monitor import Monitor
from kalshi_daemon.ground.documents import parse_document
from kalshi_daemon.ground.errors import StateCorrupt, StateTooNew
from kalshi_daemon.ladder.outcomes import OUTCOMES
from tests.artifacts.artifact_rig import RUN, fill, judged, settle, totals
from tests.guardrails.guard_rig import DAY, NOW, WINDOW, order_of, plan_of
from tests.support.written import as_written

WHERE = Path("document.json")


def _facts() -> DayFacts:
    made = DayFacts("KXINXU", DAY, "sim")
    made.note_scan(*judged(), RUN)
    made.note_audit(fill("M"), RUN)
    made.note_audit(settle("M"), RUN)
    return made


def _documents() -> dict[str, Any]:
    plan, judgement = judged(plan_of(keep=("kd-1",), cancel=(("kd-2", "edge_lost"),)))
    board = MonitorBoard()
    board.note(WindowVerdicts(WINDOW, judgement.plan_verdicts, NOW))
    reading = Reading("rms_z", "near", 1.5, 400.4, 150.0, low=0.82, high=1.15)
    board.records[Index.SPX] = IndexRecord(Index.SPX, (reading, replace(reading, group="hour", value=None)), NOW)
    go, monitors = board.documents(NOW)
    return {
        "manifest": build_manifest(plan, judgement, (order_of(),), run_id=RUN, mode="sim"),
        "go_no_go": go,
        "monitor": replace(monitors["armed"], metrics=as_written(monitors["armed"].metrics)),
        "session": build_session(totals(fills=None), run_id=RUN, mode="sim", day=DAY, now_ns=NOW),
        "report": _facts(),
    }


DOCUMENTS = _documents()
KINDS = {type(one) for one in DOCUMENTS.values()}
OPTIONAL = {
    "manifest": {"schema", "pays_from", "pays_to"},
    "go_no_go": {"schema", "record"},
    "monitor": {"schema"},
    "session": {"schema", "daemon_version"},
    "report": set(as_written(DOCUMENTS["report"])) - {"series", "day", "mode"},
}
"""Fields younger than the first document of their kind."""
FREE = {"monitor": {"metrics"}, "report": OPTIONAL["report"], "go_no_go": {"record"}}
"""Below them anything may stand: keys are places, events and words from outside."""


def places(found: Any, free: set[str], at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of a document whose name its model knows."""
    if isinstance(found, list):
        for number, one in enumerate(found):
            yield from places(one, free, (*at, number))
    elif isinstance(found, dict):
        for name, one in found.items():
            named = at[-1:] != ("windows",)  # by event
            if named:
                yield (*at, name)
            if name not in free:
                yield from places(one, free, (*at, name))


def within(found: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        found = found[step]
    return found


def test_every_kind_is_here():
    assert {Manifest, Monitor, GoNoGo, SessionSummary, DayFacts} == KINDS
    assert set(OUTCOMES), "words of a look"


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_what_is_written_is_read_again(kind):
    made = DOCUMENTS[kind]
    assert parse_document(type(made), orjson.dumps(as_written(made)), WHERE) == made
    assert as_written(made)["schema"] == type(made).SCHEMA


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_field_that_is_missing_is_named_unless_it_is_younger_than_the_kind(kind, data):
    made, free = DOCUMENTS[kind], FREE.get(kind, set())
    whole = as_written(made)
    place = data.draw(st.sampled_from(list(places(whole, free))))
    found = deepcopy(whole)
    del within(found, place[:-1])[place[-1]]
    if place[-1] in OPTIONAL[kind]:
        parse_document(type(made), orjson.dumps(found), WHERE)
        return
    with pytest.raises(StateCorrupt) as caught:
        parse_document(type(made), orjson.dumps(found), WHERE)
    assert str(caught.value).startswith(f"{WHERE}: {made.WHAT}: ")
    assert f"{place[-1]}'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_field_of_a_stranger_is_left_out(kind, data):
    made, free = DOCUMENTS[kind], FREE.get(kind, set())
    found = as_written(made)
    ours = [one for one in places(found, free) if one[-1] not in {"windows", *free}]
    place = data.draw(st.sampled_from([(), *(one for one in ours if isinstance(within(found, one), dict))]))
    within(found, place)["unheard_of"] = data.draw(st.sampled_from([None, 1, "text", {"a": [1]}]))
    assert parse_document(type(made), orjson.dumps(found), WHERE) == made


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(schema=st.one_of(st.integers(-3, 0), st.integers(2, 10**12), st.sampled_from([None, "2", 1.5, True, []])))
@settings(max_examples=20, deadline=None)
def test_a_schema_we_do_not_know_is_one_line_with_what_to_do(kind, schema):
    made = DOCUMENTS[kind]
    newer = isinstance(schema, int) and schema > type(made).SCHEMA
    with pytest.raises(StateTooNew if newer else StateCorrupt) as caught:
        parse_document(type(made), orjson.dumps({"schema": schema, "other": "shape"}), WHERE)
    assert isinstance(caught.value, StateTooNew) is newer
    assert str(caught.value).startswith(f"{WHERE}: {made.WHAT}")
    assert "\n" not in str(caught.value)
    assert ("use a newer daemon" in str(caught.value)) is newer


def test_limits_as_they_were_called_before_are_read():
    found = as_written(DOCUMENTS["go_no_go"])
    line = found["record"]["SPX"]["rms_z.near"]
    line["n_least"] = line.pop("n_min")
    assert parse_document(GoNoGo, orjson.dumps(found), WHERE) == DOCUMENTS["go_no_go"]
