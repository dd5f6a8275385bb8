"""The fault matrix: every kind of fault has its line, and what makes a line tells safe from unsafe."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulation.checkers.blind import NotBlind
from tests.simulation.effect import Effect
from tests.simulation.matrix import PAGE, QUIET, Row, all_kinds, kinds_on, page, row, told
from tests.simulation.safety import SafetyWatch, Stretch
from tests.simulation.troubles import KINDS


def test_the_page_has_a_line_for_every_kind_of_fault_and_death():
    assert kinds_on(PAGE.read_text(encoding="utf-8")) == [QUIET, *all_kinds()], "run `make fault-matrix`"


@pytest.mark.parametrize(
    ("line", "shows"),
    [
        ("`clock_step` of 5 s ahead", "`clock_skew`"),
        ("`clock_step` of 5 s back", "`clock_skew`"),
        ("`fee_change`", "halted the series: fees changed"),
        ("`stream_gap` in the books", "gap in the numbers seen: snapshots asked for"),
        ("`stream_reorder`", "gap in the numbers seen: snapshots asked for"),
        ("`stream_duplicate`", " frames dropped"),
        ("`feed_duplicate`", " index values dropped"),
        ("`feed_reorder`", " index values dropped"),
        ("`market_withheld`", "quotes pulled from stale or doubtful books"),
        ("`market_halt`", "quotes pulled from markets that are not active"),
    ],
)
def test_the_page_shows_that_the_detector_acted(line, shows):
    (found,) = [row for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith(f"| {line} |")]
    assert shows in found, "run `make fault-matrix`"


def test_there_are_at_least_twenty_kinds():
    assert len(KINDS) >= 20


def test_a_page_names_its_kinds_and_what_never_came_back():
    one = Row("stream_drop", "", 1, ("stream lost",), (), 0.0, None, 0.0, ())
    made = page([one, Row("garbage_body", "of a create", 1, (), ("a wrong book 2.0 s",), 2.0, 3.25, 0.0, ())])
    assert kinds_on(made) == ["stream_drop", "garbage_body"]
    assert "| `stream_drop` | stream lost | - | 0.0 | not by itself | 0.0 |" in made
    assert "| `garbage_body` of a create | went on | a wrong book 2.0 s | 2.0 | 3.2 | 0.0 |" in made


def test_the_log_is_told_once_and_in_order():
    said = Counter({("order.unknown", ""): 2, ("guard.refused", "pull feed_age"): 3, ("order.resolved", "resting"): 2})
    said["nobody.knows", ""] += 1
    said["window.phase_changed", ""] += 1
    assert told(said) == ["quotes pulled: `feed_age`", "fate of 2 unknown: asked", "asked: 2 resting", "`nobody.knows`"]


def _watched() -> SafetyWatch:
    watch = SafetyWatch()
    watch.effect, watch.begun_s, watch.hit_s, watch.ended_s = Effect(), 100.0, 100.0, 130.0
    watch._seen_s = 220.0
    return watch


def test_safe_is_the_end_of_the_last_wrong_that_lasted():
    watch = _watched()
    assert watch.safe_after_s == 0.0
    watch.wrong = [Stretch("a", 101.0, 104.0), Stretch("b", 110.0, 110.5)]
    assert watch.safe_after_s == 4.0, "what is on its way does not count"
    assert watch.wrongs == ["a 3.0 s"]
    watch.wrong.append(Stretch("a", 150.0))
    assert watch.safe_after_s == 120.0, "still wrong when last looked at"


def test_quoting_again_is_counted_from_the_fault_when_it_took_the_quotes_away():
    watch = _watched()
    assert watch.quoting_after_s == 0.0
    watch.empty = [Stretch("nothing rests", 112.0, 122.0)]
    assert watch.quoting_after_s == 0.0, "as in quiet hours"
    watch.empty.append(Stretch("nothing rests", 125.0, 160.0))
    assert watch.quoting_after_s == 60.0
    watch.empty = [Stretch("nothing rests", 105.0)]
    assert watch.quoting_after_s is None


@pytest.mark.simulated
@pytest.mark.timeout(120)
def test_a_dead_daemon_is_unsafe_until_it_is_back_or_the_lease_has_ended():
    found = row("kill")
    assert not found.violations
    assert any(text.startswith("no daemon") for text in found.wrong)
    assert 25.0 < found.alone_s <= found.safe_s < 91.0
    assert "started again" in found.did


@pytest.mark.simulated
@pytest.mark.timeout(120)
def test_a_market_that_alone_is_withheld_is_left_within_the_bound_of_a_silent_book():
    found = row("market_withheld")
    assert not found.violations
    assert any("quotes pulled from stale or doubtful books" in text for text in found.did)
    assert found.safe_s <= 45.0, "20 s of silence, 10 s for an answer, two rounds of upkeep, and the way there and back"
    assert found.alone_s == 0.0


@pytest.mark.parametrize(("after_s", "lag_s", "said"), [(54.0, 0.0, 0), (56.0, 0.0, 1), (56.0, 5.0, 0), (61.0, 5.0, 1)])
def test_an_order_in_a_market_long_silent_is_a_finding(after_s, lag_s, said):
    stream = SimpleNamespace(withheld=frozenset({"A"}), lag_s=lag_s)
    faults = SimpleNamespace(stream=stream)
    stage: Any = SimpleNamespace(
        exchange=SimpleNamespace(server=SimpleNamespace(faults=faults)), now_s=100.0, healed_s=0.0
    )
    checker = NotBlind()
    list(checker.look(stage))
    stage.now_s, stream.lag_s = 100.0 + after_s, 0.0
    list(checker.look(stage))
    nobody: Any = None
    orders: list[Any] = [SimpleNamespace(market_ticker=ticker, client_order_id="x") for ticker in ("A", "B")]
    assert sum(len(list(checker.intent(stage, nobody, order))) for order in orders) == said
    stage.healed_s = stage.now_s - 1.0
    assert not list(checker.intent(stage, nobody, orders[0])), "what a partition held back may have come just now"
    stage.healed_s, stream.withheld = 0.0, frozenset()
    list(checker.look(stage))
    assert not list(checker.intent(stage, nobody, orders[0])), "what flows again is no longer silent"
