"""The brake at the exchange: groups found, made, used again and never leaked; a trigger halts until a person resets."""

from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import (
    ConfigurationError,
    PartlyUnreadable,
    StateCorrupt,
    UnreadableRecord,
    VenueRejected,
)
from kalshi_daemon.ground.units import SECOND, Nanos, lots
from kalshi_daemon.orders.groups import PATIENCE
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.journal_rows import GroupIntent
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.crash_points import Counter, Killed, counted, silence
from tests.orders.fake_venue import FakeVenue, Group
from tests.orders.order_rig import START, Rig, drive, quote, spin


@pytest.fixture
def bare(tmp_path, clock, venue):
    """A daemon whose groups nobody has made yet."""
    made = Rig(tmp_path, clock, venue, braked=False)
    yield made
    made.journal.close()


def ids(rig):
    return dict(rig.state.order_groups.ids)


async def start(rig):
    await drive(rig.clock, rig.manager.start())


def journalled(rig):
    return {row.profile: row.order_group_id for row in rig.journal.groups()}


async def halted(rig, name="wide"):
    """Running, and the group triggered over the stream."""
    rig.venue.trigger(rig.state.order_groups.ids[name])
    await spin()
    return rig.state.order_groups.halted[name]


# --- set up, found again, never leaked


async def test_every_profile_gets_a_group_of_the_limit_and_its_quotes_carry_it(bare):
    await start(bare)
    assert set(ids(bare)) == {"wide", "size"}
    assert set(ids(bare).values()) == set(bare.venue.groups) == set(journalled(bare).values())
    assert {group.limit for group in bare.venue.groups.values()} == {lots(20)}
    await bare.manager.place([quote(), quote(6900, profile="size")])
    assert [new.order_group_id for (new, *more) in bare.sent("create") for new in (new, *more)] == [
        ids(bare)["wide"],
        ids(bare)["size"],
    ]


async def test_groups_are_used_again_by_the_next_life(bare):
    await start(bare)
    second = bare.reborn()
    await start(second)
    assert ids(second) == ids(bare)
    assert len(second.venue.groups) == len(second.sent("group_create")) == 2
    second.journal.close()


async def test_without_a_journal_groups_of_our_limit_are_taken_over_and_others_left_alone(bare, tmp_path):
    await start(bare)
    bare.venue.groups["by-hand"] = Group(lots(500))
    bare.journal.close()
    fresh = Rig(tmp_path / "fresh", bare.clock, bare.venue, entropy=b"anothers", braked=False)
    with capture_logs() as logs:
        await start(fresh)
    assert set(ids(fresh).values()) == set(ids(bare).values())
    assert set(fresh.venue.groups) == {*ids(bare).values(), "by-hand"}
    assert [e["order_group_id"] for e in logs if e["event"] == "order_group.foreign_listed"] == ["by-hand"]
    fresh.journal.close()


async def test_scope_own_takes_nothing_over_that_it_cannot_prove(tmp_path, clock, venue):
    venue.groups["somebodys"] = Group(lots(20))
    rig = Rig(tmp_path, clock, venue, OrderSettings(scope="own"), braked=False)
    await start(rig)
    assert "somebodys" not in ids(rig).values()
    assert len(venue.groups) == 3
    rig.journal.close()


async def test_another_limit_makes_new_groups_and_deletes_the_old_ones(bare):
    await start(bare)
    bare.settings = OrderSettings(group_contracts_limit=7)
    second = bare.reborn()
    await start(second)
    assert set(second.venue.groups) == set(ids(second).values())
    assert {group.limit for group in second.venue.groups.values()} == {lots(7)}
    assert set(journalled(second).values()) == set(second.venue.groups)
    second.journal.close()


async def test_a_group_that_cannot_be_deleted_is_deleted_later(bare):
    await start(bare)
    bare.settings = OrderSettings(group_contracts_limit=7)
    second = bare.reborn()
    second.venue.script["group_delete"].extend(["429", "lost"])
    async with second.running():
        assert len(second.venue.groups) == 4
        await second.pass_time(10)
        assert set(second.venue.groups) == set(ids(second).values())
    second.journal.close()


async def test_a_create_whose_answer_was_lost_is_found_and_not_made_twice(bare):
    bare.venue.script["group_create"].append("applied_lost")
    async with bare.running():
        assert "wide" not in ids(bare)
        assert await bare.manager.place([quote()]) == ()
        await bare.pass_time(5)
        assert set(ids(bare).values()) == set(bare.venue.groups)
        assert len(bare.venue.groups) == 2
    assert len(bare.sent("group_create")) == 2


async def test_a_lost_create_that_was_never_applied_is_made_again_after_the_lists_had_time(bare):
    bare.venue.script["group_create"].append("lost")
    async with bare.running():
        await bare.pass_time(PATIENCE / SECOND - 3)
        assert len(bare.sent("group_create")) == 2, "wide asked once, size in a later turn"
        await bare.pass_time(20)
        assert set(ids(bare).values()) == set(bare.venue.groups)
    assert bare.journal.group_intents() == {}


async def test_the_list_that_lags_does_not_make_a_second_group(bare):
    await start(bare)
    bare.venue.hidden |= set(bare.venue.groups)
    second = bare.reborn()
    async with second.running():
        assert ids(second) == {}
        second.venue.hidden.clear()
        await second.pass_time(5)
        assert ids(second) == ids(bare)
    assert len(second.venue.groups) == 2
    second.journal.close()


async def test_groups_of_another_exchange_are_forgotten(bare):
    await start(bare)
    bare.venue.groups.clear()
    bare.clock.advance(Nanos(60 * SECOND))
    second = bare.reborn()
    await start(second)
    assert set(journalled(second).values()) == set(second.venue.groups) == set(ids(second).values())
    second.journal.close()


async def test_trouble_at_the_start_is_no_reason_not_to_start_but_nothing_is_quoted(bare):
    bare.venue.script["groups"].extend(["lost", "unreachable"])
    async with bare.running():
        assert bare.state.reconciliation.agreed
        assert await bare.manager.place([quote()]) == ()
        await bare.pass_time(8)
        assert len(await bare.manager.place([quote()])) == 1


async def test_a_venue_without_order_groups_needs_the_setting(bare, tmp_path):
    refusal = VenueRejected("groups", 403, "forbidden", "not for you")
    bare.venue.script["groups"].append(refusal)
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigurationError, match="orders.groups = .off")):
        await start(bare)
    bare.journal.close()
    off = Rig(tmp_path / "off", bare.clock, FakeVenue(bare.clock), OrderSettings(groups="off"), braked=False)
    async with off.running():
        await off.pass_time(3)
        ((new,),) = (off.sent("create") for _ in [await off.manager.place([quote()])])
        assert new[0].order_group_id is None
    assert not {name for name, _ in off.venue.calls} & {"groups", "group_create"}
    off.journal.close()


async def test_an_unarmed_daemon_touches_no_group(bare):
    bare.state.armed = False
    async with bare.running():
        await bare.pass_time(5)
    assert bare.venue.groups == {}


async def test_a_group_deleted_by_somebody_else_is_made_again(bare):
    async with bare.running():
        before = ids(bare)
        bare.venue.end_group(before["wide"])
        await spin()
        assert set(ids(bare)) == {"size"}
        await bare.pass_time(3)
        assert ids(bare)["wide"] != before["wide"]
        assert set(journalled(bare).values()) == set(bare.venue.groups)


async def test_a_group_whose_deletion_was_not_heard_is_noticed_at_the_next_create(bare):
    async with bare.running():
        gone = ids(bare)["wide"]
        del bare.venue.groups[gone]
        (order,) = await bare.manager.place([quote()])
        assert (order.status, order.reason) == (Status.REJECTED, "ORDER_GROUP_NOT_FOUND")
        assert bare.state.order_groups.halted == {}
        await bare.pass_time(3)
        assert len(await bare.manager.place([quote(6900)])) == 1


async def test_killed_at_any_effect_of_the_set_up_no_group_leaks(tmp_path):
    def new(name):
        clock = ManualClock(START)
        return Rig(tmp_path / name, clock, FakeVenue(clock), braked=False)

    whole, counter = new("whole"), Counter()
    with counted(whole, counter):
        await start(whole)
    whole.journal.close()
    assert len(counter.effects) > 20
    for moment in counter.effects:
        rig = new(str(moment))
        with counted(rig, Counter(moment)), silence(), suppress(Killed, BaseExceptionGroup):
            await start(rig)
        second = rig.reborn()
        async with second.running():
            await second.pass_time(2 * PATIENCE / SECOND, step_ms=1_000)
            assert set(rig.venue.groups) == set(ids(second).values()), moment
            assert set(rig.venue.groups) == set(journalled(second).values()), moment
            assert len(rig.venue.groups) == 2, moment
        second.journal.close()


# --- triggered


async def test_too_many_contracts_trigger_halt_the_profile_and_say_so_once(bare):
    with capture_logs() as logs:
        async with bare.running():
            many = [quote(6800 + 5 * n, contracts=7) for n in range(4)]
            orders = await bare.manager.place([*many, quote(6900, profile="size")])
            for order in orders[:3]:
                bare.venue.trade(order.client_order_id, 700)
            await spin()
            assert set(bare.state.order_groups.halted) == {"wide"}
            assert bare.state.orders[orders[3].client_order_id].status is Status.CANCELED, "by the exchange"
            bare.venue.trigger(ids(bare)["wide"])
            await spin()
            assert [o.profile for o in await bare.manager.place([quote(6950), quote(6955, profile="size")])] == ["size"]
    assert sum(e["event"] == "order_group.halted" for e in logs) == 1
    (said,) = bare.said("order_group_halt")
    assert said["profile"] == "wide"


async def test_a_trigger_that_the_stream_never_told_halts_at_the_next_create(bare):
    async with bare.running():
        bare.venue.trigger(ids(bare)["wide"], stream=False)
        (order,) = await bare.manager.place([quote()])
        assert order.status is Status.REJECTED
        assert "EXCEEDED_ORDER_GROUP_RISK_LIMIT" in bare.state.order_groups.halted["wide"].reason


async def test_a_refusal_about_groups_that_cannot_be_read_counts_as_triggered(bare):
    async with bare.running():
        unread = VenueRejected("create", 400, "invalid_order", "bad request", "Order Group is in a strange mood")
        bare.venue.script["create"].append(unread)
        await bare.manager.place([quote()])
        assert set(bare.state.order_groups.halted) == {"wide"}


async def test_other_refusals_and_other_peoples_groups_halt_nothing(bare):
    async with bare.running():
        bare.venue.script["create"].append(VenueRejected("create", 400, "invalid_order", "post only cross"))
        await bare.manager.place([quote()])
        bare.venue.groups["foreign"] = Group(lots(1))
        bare.venue.trigger("foreign")
        await spin()
        assert bare.state.order_groups.halted == {}


async def test_a_halt_outlives_restarts_and_nothing_but_a_reset_ends_it(bare):
    async with bare.running():
        halt = await halted(bare)
        await bare.venue.reset_order_group(ids(bare)["wide"])
        await bare.pass_time(30)
        assert bare.state.order_groups.halted == {"wide": halt}, "also when somebody resets the group elsewhere"
    second = bare.reborn()
    with capture_logs() as logs:
        await start(second)
    assert second.state.order_groups.halted == {"wide": halt}
    assert sum(e["event"] == "order_group.still_halted" for e in logs) == 1
    assert await second.manager.place([quote()]) == ()
    second.journal.close()


async def test_a_new_limit_deletes_the_triggered_group_and_keeps_the_halt(bare):
    async with bare.running():
        await halted(bare)
    bare.settings = OrderSettings(group_contracts_limit=50)
    second = bare.reborn()
    await start(second)
    assert set(second.state.order_groups.halted) == {"wide"}
    second.journal.close()


# --- reset


async def test_a_reset_goes_to_the_exchange_first_and_then_quoting_goes_on(bare):
    async with bare.running():
        halt = await halted(bare)
        assert await bare.manager.reset_group("wide", halt.at_ns)
        assert bare.sent("group_reset") == [ids(bare)["wide"]]
        assert bare.state.order_groups.halted == bare.journal.halts() == {}
        (order,) = await bare.manager.place([quote()])
        assert order.status is Status.RESTING
    assert bare.said("order_group_reset")[0]["profile"] == "wide"


@pytest.mark.parametrize("fault", ["unreachable", "429", "lost", "applied_lost"])
async def test_a_reset_that_was_not_confirmed_leaves_the_halt_and_is_asked_again(bare, fault):
    async with bare.running():
        halt = await halted(bare)
        bare.venue.script["group_reset"].append(fault)
        assert not await bare.manager.reset_group("wide", halt.at_ns)
        assert set(bare.state.order_groups.halted) == {"wide"}
        assert not await bare.manager.reset_group("wide", halt.at_ns), "not more often than every half second"
        assert len(bare.sent("group_reset")) == 1
        bare.clock.advance(Nanos(SECOND))
        assert await bare.manager.reset_group("wide", halt.at_ns)


async def test_a_request_about_an_earlier_halt_ends_nothing(bare):
    async with bare.running():
        halt = await halted(bare)
        assert await bare.manager.reset_group("wide", Nanos(halt.at_ns - 1))
        assert await bare.manager.reset_group("size", halt.at_ns)
        assert set(bare.state.order_groups.halted) == {"wide"}
        assert bare.sent("group_reset") == []


async def test_triggered_again_while_the_reset_is_on_the_wire_stays_halted(bare):
    async with bare.running():
        halt = await halted(bare)
        plain = bare.venue.reset_order_group

        async def busy(order_group_id):
            await plain(order_group_id)
            bare.clock.advance(Nanos(SECOND))
            bare.venue.trigger(order_group_id)
            await spin()

        bare.venue.reset_order_group = busy
        assert await bare.manager.reset_group("wide", halt.at_ns), "dealt with: it was about the earlier one"
        again = bare.state.order_groups.halted["wide"]
        assert again.at_ns > halt.at_ns
        assert bare.journal.halts() == {"wide": again}


async def test_a_reset_of_a_group_that_is_gone_waits_for_another_group(bare):
    async with bare.running():
        halt = await halted(bare)
        del bare.venue.groups[ids(bare)["wide"]]
        assert not await bare.manager.reset_group("wide", halt.at_ns)
        assert not await bare.manager.reset_group("wide", halt.at_ns)
        await bare.pass_time(4)
        assert await bare.manager.reset_group("wide", halt.at_ns)


async def test_a_halt_of_a_profile_without_a_group_ends_in_our_books_alone(bare):
    async with bare.running():
        halt = await halted(bare)
    bare.settings = OrderSettings(groups="off")
    second = bare.reborn()
    await start(second)
    assert await second.manager.place([quote()]) == (), "switching the brake off is no reset"
    assert await second.manager.reset_group("wide", halt.at_ns)
    assert len(await second.manager.place([quote()])) == 1
    assert second.sent("group_reset") == []
    second.journal.close()


# --- the journal


async def test_a_broken_journal_ends_the_set_up(bare, monkeypatch):
    def broken(*_):
        raise StateCorrupt("journal", "disk full")

    monkeypatch.setattr(Journal, "intend_group", broken)
    with pytest.RaisesGroup(StateCorrupt):
        await start(bare)
    with pytest.raises(StateCorrupt):
        await bare.manager._groups.turn()


async def test_nonsense_in_the_list_is_trouble_not_an_empty_list(bare, monkeypatch):
    async def nonsense():
        return [{"contracts_limit_fp": "20.00"}]

    monkeypatch.setattr(bare.venue, "order_groups", nonsense)
    await start(bare)
    assert ids(bare) == {}
    assert bare.sent("group_create") == []


def test_the_journal_gives_back_what_it_was_given(rig):
    intent = GroupIntent("wide", START, frozenset({"a", "b"}))
    rig.journal.intend_group(intent)
    assert rig.journal.group_intents() == {"wide": intent}
    rig.journal.forget_group_intent("wide")
    assert rig.journal.group_intents() == {}


# --- a list of which some cannot be read


BAD_GROUPS = (
    {"id": 7, "contracts_limit_fp": "20.00"},
    {"id": "", "contracts_limit_fp": "20.00"},
    {"id": "x" * 300, "contracts_limit_fp": "20.00"},
    {"contracts_limit_fp": "20.00"},
    {"id": "odd", "contracts_limit_fp": "1e3"},
    {"id": "odd", "contracts_limit_fp": -20},
)


def with_listed(rig, monkeypatch, *more):
    usual = rig.venue.order_groups

    async def order_groups():
        return [*more, *await usual()]

    monkeypatch.setattr(rig.venue, "order_groups", order_groups)


@pytest.mark.parametrize("bad", BAD_GROUPS)
async def test_a_group_that_cannot_be_read_costs_itself_and_is_said_once(bare, monkeypatch, bad):
    await start(bare)
    second = bare.reborn()
    with_listed(second, monkeypatch, bad)
    with capture_logs() as logs:
        await start(second)
        await second.manager._groups._set_up()
    assert ids(second) == ids(bare), "the others are found again"
    assert len(second.sent("group_create")) == 2, "none is made anew"
    [said] = [entry for entry in logs if entry["event"] == "order_group.unreadable"]
    assert said["count"] == 1
    second.journal.close()


async def test_a_list_with_objects_that_are_none_is_used_as_far_as_it_goes(bare, monkeypatch):
    await start(bare)
    second = bare.reborn()
    usual = second.venue.order_groups

    async def order_groups():
        bad = UnreadableRecord("order_groups[0]", "", "order_groups: 7 is not an object")
        raise PartlyUnreadable("order_groups", await usual(), [bad])

    monkeypatch.setattr(second.venue, "order_groups", order_groups)
    await start(second)
    assert ids(second) == ids(bare)
    second.journal.close()


async def test_no_group_is_forgotten_by_a_list_that_could_not_be_read_whole(bare, monkeypatch):
    await start(bare)
    before = journalled(bare)
    bare.venue.hidden.add(before["wide"])
    bare.clock.advance(Nanos(60 * SECOND))
    second = bare.reborn()
    with_listed(second, monkeypatch, {"id": 7})
    await start(second)
    assert {row.order_group_id for row in second.journal.groups()} >= set(before.values())
    second.journal.close()
