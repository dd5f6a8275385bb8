"""A recorded day traded by the daemon's own core: orders rest in the recorded book and fill as the model says."""

import pytest

from kalshi_daemon.backtest.jobs import inputs_of, recorded_jobs
from kalshi_daemon.backtest.recorded.queue_models import QUEUE_MODELS
from kalshi_daemon.backtest.results import Law, figures, paired
from kalshi_daemon.backtest.runner import play_job
from kalshi_daemon.cli.backtest import QUEUE_MODELS as NAMED
from kalshi_daemon.simulator.latency import Latency
from tests.backtest.recordings import DAY, busy_book, write_recording
from tests.backtest.test_backtest_session import SETTINGS


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Sellers of 30 contracts a second at 40, nine minutes before the close, of what is worth about 60."""
    folder = write_recording(tmp_path_factory.mktemp("books"), busy_book(40, 48))
    (job,) = recorded_jobs(SETTINGS, folder, "risk-adverse", seed=1, latency=Latency(), minutes=9)
    return job, play_job(job)


def test_our_better_bid_is_sold_to_and_settles_with_equal_books(played):
    _job, result = played
    assert result.books_equal
    assert len(result.fills) > 2
    assert {(fill.sign, fill.price, fill.contracts) for fill in result.fills} == {(1, 0.42, 2.0)}
    assert [fill.markouts[30] for fill in result.fills] == [pytest.approx(2.0)] * len(result.fills)
    bought = sum(fill.contracts for fill in result.fills)
    assert result.pnl_dollars == pytest.approx(0.58 * bought), "the index ended inside"
    assert sum(order.filled for order in result.orders) == bought


def test_without_a_law_there_is_no_edge_and_markouts_stand_for_it(played):
    _job, result = played
    found = figures([result])
    assert result.law is Law.NONE
    assert (found["law"], found["measured_by"]) == ("none", "markout_30s")
    assert found["edge_cents"] is found["edge_dollars_per_hour"] is found["edge_cents_se"] is None
    assert found["markout_30s_cents"] == found["markout_300s_cents"] == pytest.approx(2.0)
    assert found["worst_hour"] == pytest.approx(0.02 * result.rows[0].contracts)
    assert paired([result], [result])["difference"] == 0.0


def test_the_files_of_the_day_are_what_the_result_depends_on(played):
    job, result = played
    names = {path.name for path in inputs_of(job)}
    assert names == {f"book_events_{DAY}.parquet", f"SPX_1hz_{DAY}.parquet", f"markets_{DAY}.json"}
    assert result.session == DAY


def test_the_names_of_the_command_are_those_of_the_models():
    assert tuple(QUEUE_MODELS) == NAMED
