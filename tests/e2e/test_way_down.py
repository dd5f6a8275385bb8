"""A slice of `make way-down RUNS=5` for every run of the suite: one stop of each trouble, each under another storm."""

import pytest

from tests.way_down.driver import play
from tests.way_down.outputs import NotPossible

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("trouble", "storm"), [("logs_full", "SIGTERM"), ("output_unread", "SIGHUP"), ("terminal_closed", "none")]
)
def test_a_stop_with_an_output_in_trouble_leaves_nothing_and_says_so(tmp_path, trouble, storm):
    try:
        stop = play(trouble, storm, tmp_path / "run")
    except NotPossible as reason:
        pytest.skip(str(reason))
    assert stop.problems == ()
    assert stop.code == 0
    assert stop.resting_before > 0, "there was something to leave behind"
