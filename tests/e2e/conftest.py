import pytest

from tests.support.processes import Processes, Simulator

AFTERNOON = ("--from", "13:10", "--until", "15:59", "--speed", "1")


@pytest.fixture
def processes(tmp_path):
    found = Processes(tmp_path)
    yield found
    found.close()


class Spares:
    """Exchanges at the speed of life, one started ahead: a start costs seconds that the test before can use."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._next = self._processes.simulator(*AFTERNOON)

    def take(self) -> Simulator:
        taken, self._next = self._next, self._processes.simulator(*AFTERNOON)
        return taken.wait_ready()


@pytest.fixture(scope="package")
def spares(tmp_path_factory):
    found = Processes(tmp_path_factory.mktemp("spares"))
    yield Spares(found)
    found.close()


@pytest.fixture
def sim(spares):
    """An exchange of its own: after a cancel-all the venue takes no new orders of the account for a minute."""
    taken = spares.take()
    yield taken
    taken.kill()
