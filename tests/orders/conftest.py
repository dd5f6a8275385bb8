import pytest

from kalshi_daemon.ground.clock import ManualClock
from tests.orders.fake_venue import FakeVenue
from tests.orders.order_rig import START, Rig


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def venue(clock):
    return FakeVenue(clock)


@pytest.fixture
def rig(tmp_path, clock, venue):
    made = Rig(tmp_path, clock, venue)
    yield made
    made.journal.close()
