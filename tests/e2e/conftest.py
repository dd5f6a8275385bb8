import pytest

from tests.support.processes import Processes


@pytest.fixture
def processes(tmp_path):
    found = Processes(tmp_path)
    yield found
    found.close()


@pytest.fixture
def sim(processes):
    """An exchange of its own: after a cancel-all the venue takes no new orders of the account for a minute."""
    return processes.simulator("--from", "13:10", "--until", "15:59", "--speed", "1").wait_ready()
