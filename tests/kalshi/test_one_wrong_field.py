"""One wrong field of a frame, a balance or the account's limits costs at most that record, in documented words."""

import json
import random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.errors import MalformedData
from kalshi_daemon.ground.readers import INT64_MAX
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.kalshi import fields, rest_codec
from kalshi_daemon.kalshi.rate_limit import RateLimiter
from tests.fuzz import corpus
from tests.fuzz.mutation import mutated
from tests.kalshi.test_stream_session_rules import Venue
from tests.kalshi.test_ws_frames import FILL_MSG

LIMITS: dict[str, Any] = {
    "read": {"refill_rate": 200, "bucket_capacity": 400},
    "write": {"refill_rate": 100, "bucket_capacity": 100},
}
COSTS: dict[str, Any] = {
    "default_cost": 10,
    "endpoint_costs": [{"method": "DELETE", "path": "/portfolio/events/orders/batched", "cost": 2}],
}
drawn = settings(deadline=None, max_examples=400)


@drawn
@given(turn=st.integers(0, 2**40), which=st.integers(0, len(corpus.FRAMES) - 1))
def test_a_wrong_frame_costs_itself_and_the_next_one_is_heard(turn, which):
    venue = Venue()
    venue.open_private()
    frame = mutated(random.Random(turn), corpus.FRAMES[which])
    skipped = b'"error"' in frame or b'"fill"' in frame  # an error may end a channel, a doubled fill is a repetition
    if not skipped:
        venue.session.receive(frame, Nanos(venue.now), venue.now)
    events = venue.say({"type": "fill", "sid": 1, "msg": FILL_MSG})
    assert [type(event).__name__ for event in events] == ["FillEvent"]


@drawn
@given(turn=st.integers(0, 2**40))
def test_a_balance_is_read_or_refused(turn):
    data = mutated(random.Random(turn), corpus.ANSWERS["balance"])
    try:
        found = rest_codec.balance(fields.as_object(fields.loads(data, "balance"), "balance"), Nanos(1))
    except MalformedData as problem:
        said = str(problem)
    else:
        said = ""
        assert abs(found.cash) <= INT64_MAX
        assert abs(found.portfolio_value) <= INT64_MAX
    assert len(said) < 1_000


@drawn
@given(turn=st.integers(0, 2**40), of_costs=st.booleans())
def test_limits_are_taken_whole_or_change_nothing(turn, of_costs):
    limiter = RateLimiter(0.4, Nanos(0))
    before = (limiter.read.capacity, limiter.write.capacity, limiter.read.refill_per_s, limiter.write.refill_per_s)
    data = mutated(random.Random(turn), COSTS if of_costs else LIMITS)
    try:
        one = fields.as_object(fields.loads(data, "limits"), "limits")
        limiter.load(LIMITS if of_costs else one, one if of_costs else COSTS, Nanos(0))
    except MalformedData:
        after = (limiter.read.capacity, limiter.write.capacity, limiter.read.refill_per_s, limiter.write.refill_per_s)
        unchanged = after == before
    else:
        unchanged = True
        assert min(limiter.read.capacity, limiter.write.capacity) >= 1
        assert min(limiter.read.refill_per_s, limiter.write.refill_per_s) >= 1
    assert unchanged


def test_the_samples_themselves_are_read():
    RateLimiter(0.4, Nanos(0)).load(LIMITS, COSTS, Nanos(0))
    assert orjson.loads(json.dumps(corpus.ANSWERS["balance"]))
