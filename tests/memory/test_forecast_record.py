"""The record of resolved forecasts: what is written, when, what a reader makes of it, and its bounds."""

import asyncio
import json
from datetime import date
from math import log
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.agenda import fixings
from kalshi_daemon.calibration.market_record import MarketRecord, Pair, Pending
from kalshi_daemon.calibration.watch import GROUP_OF, ForecastWatch, Scored
from kalshi_daemon.domain.forecast import Reading
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.memory import forecast_record
from kalshi_daemon.memory.forecast_record import FOLDER, ForecastRecord, append, read_record
from kalshi_daemon.memory.gap_replay import GapReplay
from kalshi_daemon.memory.record_rows import BANDS, FixingRow, ForecastRow, MarketRow, from_line, sound, to_line
from kalshi_daemon.memory.store import CalibrationStore, Keeping
from kalshi_daemon.settings.model import CalibrationSettings
from kalshi_daemon.windows.sessions import SessionTable
from tests.calibration.support import at, feed, known, model, session, walk
from tests.memory.test_gap_replay import SECONDS as MONDAY
from tests.memory.test_gap_replay import between, minutes

DAYS = tuple(session(day) for day in range(5))
TABLE = SessionTable(DAYS, start_ns=at(-570), end_ns=at(2_000, 4))
MONDAY_DATE, TUESDAY_DATE = "2025-11-24", "2025-11-25"


class Rig:
    """A store of one index, and what its record holds."""

    def __init__(self, folder) -> None:
        self.clock = ManualClock(at(0))
        self.model = model(*DAYS, settings=CalibrationSettings())
        self.store = CalibrationStore(
            folder, self.clock, {Index.SPX: self.model}, TABLE, Keeping(2, 30, Nanos(10 * MINUTE))
        )
        self.folder = self.store.record.folder

    def live(self, ticks) -> None:
        feed(self.model, ticks)
        self.clock.set(ticks[-1].event_ns)

    def kept(self):
        return read_record(self.folder, Index.SPX)


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


@pytest.fixture
def lines():
    with structlog.testing.capture_logs() as found:
        yield found


def row(number: int = 0, **changes) -> ForecastRow:
    figures: dict[str, Any] = {
        "index": Index.SPX,
        "session": MONDAY_DATE,
        "target_ns": at(90 + 60 * number),
        "close": False,
        "bucket": 4,
        "live": True,
        "level": 6_800.0,
        "fixing": 6_805.5,
        "sigma": 0.002,
        "spread": 0.0021,
        "crps": 0.0005,
        "baseline_crps": 0.00051,
        "log_gain": -0.03,
        "pit": 0.61,
        "square": 0.4,
        "bins": ((4, 0.45, 0.5), (9, 0.97, 1.0)),
        "quantiles": (6_765.2, 6_778.0, 6_791.11, 6_800.25, 6_809.0, 6_822.5, 6_836.0),
    }
    return ForecastRow(**(figures | changes))


def lines_of(*rows, day: str = MONDAY_DATE) -> dict:
    return {day: [to_line(one) for one in rows]}


def test_every_forecast_of_a_session_is_written_with_what_the_monitors_made_of_it(rig):
    rig.live([*walk(390, step_s=10), *walk(1, step_s=10, start=390.1)])
    rig.store.save()
    kept = rig.kept()
    assert [one.target_ns for one in kept.fixings] == list(fixings(DAYS[0]))
    assert len(kept.forecasts) == 7 * 7 - 3 + 3, "marks of 55, 45 and 30 minutes before 10:00 lie before 09:31"
    last = kept.fixings[-1]
    assert last.readings == rig.model.health(at(391)).readings
    assert last.evidence == rig.model.monitor.mean
    assert sum(one.close for one in kept.forecasts) == 10
    assert all(one.live for one in kept.forecasts)
    prices = {one.event_ns: one.value for one in walk(390, step_s=10)}
    for one in kept.forecasts:
        assert one.level == prices[one.target_ns - round(one.horizon_min * MINUTE)]
        assert one.fixing == prices[one.target_ns]
        assert one.session == MONDAY_DATE


def test_the_record_gives_the_monitors_figures_back(rig):
    """Two sessions: sums fade in between, as in the watch."""
    for day in range(2):
        rig.live([*walk(390, step_s=10, day=day, seed=day + 1), *walk(1, step_s=10, start=390.1, day=day)])
    rig.store.save()
    watch = ForecastWatch()
    sessions: set[str] = set()
    for one in rig.kept().forecasts:
        if sessions and one.session not in sessions:
            watch.next_session()
        sessions.add(one.session)
        watch.learn(one.bucket, Scored(one.crps, one.baseline_crps, one.log_gain, one.pit, one.square))
    readings = {(one.monitor, one.group): one for one in rig.kept().fixings[-1].readings}
    for group in set(GROUP_OF):
        for name, value in watch.tallies[group].figures().items():
            assert readings[name, group].value == pytest.approx(value, rel=1e-12), (name, group)
            assert readings[name, group].n == pytest.approx(watch.tallies[group].weight)


def test_a_row_comes_back_as_it_was():
    readings = (
        Reading("rms_z", "near", None, 0.0, 150.0, 0.82, 1.15),
        Reading("evidence", "all", 2.5, 3, 0, None, 9.0),
    )
    fixing = FixingRow(Index.NDX, MONDAY_DATE, at(90), live=False, evidence=1.25, alarmed=True, readings=readings)
    spans = {"early": ((0.25, 0.5, True),)}
    market = MarketRow(Index.SPX, MONDAY_DATE, at(90), "E", 0.5, alarmed=False, spans=spans, readings=readings)
    for one in (row(), fixing, market):
        assert from_line(to_line(one)) == one


@pytest.mark.parametrize(
    "change",
    [
        {"v": 4},
        {"quantiles": []},
        {"quantiles": [6_800.0] * 6},
        {"quantiles": [6_800.0] * 6 + [6_799.0]},
        {"quantiles": [0.0] + [6_800.0] * 6},
        {"quantiles": None},
        {"kind": "other"},
        {"pit": 1.5},
        {"sigma": 0.0},
        {"sigma": None},
        {"crps": "x"},
        {"bucket": 10},
        {"bins": [[10, 0.5, 0.5]]},
        {"bins": [[1, 0.5]]},
        {"index": "I:DAX"},
        {"index": 500},
        {"at": 1.5},
    ],
)
def test_a_line_that_is_none_of_ours_is_refused(change):
    document = json.loads(to_line(row())) | change
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, it is a ValueError
        from_line(json.dumps(document).encode())
    for broken in (b"", b"[]", b"{", to_line(row())[:-20]):
        with pytest.raises(ValueError):  # noqa: PT011
            from_line(broken)


def test_a_line_of_the_first_version_is_read_without_its_quantiles():
    document = json.loads(to_line(row())) | {"v": 1}
    del document["quantiles"]
    document["rival_crps"] = document.pop("baseline_crps")
    assert from_line(json.dumps(document).encode()) == row(quantiles=())
    with pytest.raises(ValueError, match="quantiles"):
        from_line(json.dumps(document | {"v": 2}).encode())


def test_a_line_of_the_version_before_names_the_baseline_otherwise():
    document = json.loads(to_line(row())) | {"v": 2}
    document["rival_crps"] = document.pop("baseline_crps")
    assert from_line(json.dumps(document).encode()) == row()
    with pytest.raises(ValueError, match="baseline_crps"):
        from_line(json.dumps(document | {"v": 3}).encode())


def test_lines_of_a_newer_daemon_are_left_out_and_said_once_with_what_to_do(tmp_path):
    newer = json.dumps({"v": 4, "in": "another form"}).encode() + b"\n"
    path = tmp_path / f"{MONDAY_DATE}.jsonl"
    path.write_bytes(to_line(row()) + newer + newer)
    kept = read_record(tmp_path, row().index)
    assert (kept.forecasts, kept.unreadable) == ((row(),), 2)
    assert str(kept.newer) == (
        f"{path}: forecast record has schema 4, this daemon knows 3: use a newer daemon with the same file"
    )


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_line_that_lacks_a_field_names_it_and_one_with_a_strangers_is_read(data):
    document = json.loads(to_line(row()))
    assert from_line(json.dumps(document | {"unheard_of": [1]}).encode()) == row()
    name = data.draw(st.sampled_from(sorted(document)))
    del document[name]
    with pytest.raises(ValueError, match=name):
        from_line(json.dumps(document).encode())


def test_the_quantiles_are_those_of_the_distribution_that_was_published(rig):
    """At the mark of 30 minutes before 11:00, asked for at that instant."""
    ticks = walk(100, step_s=10)
    before = [one for one in ticks if one.event_ns <= at(60)]
    rig.live(before)
    distribution = known(rig.model.forecast(at(60), at(90)))
    rig.live(ticks[len(before) :])
    rig.store.save()
    (kept,) = (one for one in rig.kept().forecasts if (one.target_ns, one.bucket) == (at(90), 4))
    assert kept.made_ns == at(60)
    assert kept.quantiles == pytest.approx(distribution.quantiles(np.array(BANDS)), abs=0.00501)
    assert distribution.cdf(np.array(kept.quantiles)) == pytest.approx(BANDS, abs=0.001)


def test_forecasts_without_a_number_are_left_out(tmp_path):
    record = ForecastRecord(tmp_path)
    one = model(*DAYS, settings=CalibrationSettings())
    record.listen(one, lambda _at: False)
    feed(one, walk(32, step_s=10))
    taken = record.take()
    assert {json.loads(line)["kind"] for line in taken[MONDAY_DATE]} == {"forecast", "fixing"}
    assert not record.take(), "handed over once"
    assert not sound(row(log_gain=float("-inf")))
    assert not sound(row(quantiles=(*row().quantiles[:-1], float("inf"))))


def test_the_last_line_of_a_key_stands_and_torn_ones_are_counted(tmp_path):
    append(tmp_path, lines_of(row(), row(1)))
    append(tmp_path, lines_of(row(pit=0.7, live=False)))
    path = tmp_path / f"{MONDAY_DATE}.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + to_line(row(2))[:50])  # a power cut
    kept = read_record(tmp_path, Index.SPX)
    assert [one.pit for one in kept.forecasts] == [0.7, 0.61]
    assert kept.unreadable == 1
    append(tmp_path, lines_of(row(3)))
    assert len(read_record(tmp_path, Index.SPX).forecasts) == 3, "the torn line does not spoil the next one"
    assert read_record(tmp_path, Index.NDX).forecasts == ()


def test_a_span_of_days_is_read(tmp_path):
    append(tmp_path, lines_of(row()) | lines_of(row(session=TUESDAY_DATE, target_ns=at(90, 1)), day=TUESDAY_DATE))
    tuesday = date.fromisoformat(TUESDAY_DATE)
    assert len(read_record(tmp_path, Index.SPX).forecasts) == 2
    assert [one.session for one in read_record(tmp_path, Index.SPX, first=tuesday).forecasts] == [TUESDAY_DATE]
    assert [one.session for one in read_record(tmp_path, Index.SPX, last=date(2025, 11, 24)).forecasts] == [MONDAY_DATE]
    assert read_record(tmp_path / "none", Index.SPX).forecasts == ()


def test_days_and_bytes_are_bounded(tmp_path, monkeypatch, lines):
    monkeypatch.setattr(forecast_record, "DAYS_MAX", 3)
    for day in range(1, 7):
        append(tmp_path, lines_of(row(), day=f"2025-11-0{day}"))
    assert [path.stem for path in sorted(tmp_path.iterdir())] == ["2025-11-04", "2025-11-05", "2025-11-06"]
    monkeypatch.setattr(forecast_record, "BYTES_MAX", 3 * len(to_line(row())) + 10)
    assert append(tmp_path, lines_of(*(row(n) for n in range(5)))) == {}
    assert len(read_record(tmp_path, Index.SPX, first=date(2025, 11, 24)).forecasts) == 3
    assert [(line["event"], line["dropped"]) for line in lines] == [("forecast_record.full", 2)]


def test_what_waits_is_bounded(tmp_path, monkeypatch, lines):
    monkeypatch.setattr(forecast_record, "LINES_MAX", 4)
    record = ForecastRecord(tmp_path)
    one = model(*DAYS, settings=CalibrationSettings())
    record.listen(one, lambda _at: False)
    feed(one, walk(32, step_s=10))
    assert len(record.take()[MONDAY_DATE]) == 4
    assert record.dropped > 0
    assert [line["event"] for line in lines] == ["forecast_record.lines_dropped"]


def test_a_disk_that_refuses_loses_nothing(rig, lines):
    rig.live(walk(100, step_s=10))
    blocked = rig.folder
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the folder should be")
    rig.store.save()
    assert [line["event"] for line in lines] == ["forecast_record.not_written"]
    blocked.unlink()
    rig.store.save()
    assert [one.target_ns for one in rig.kept().fixings] == [at(30), at(90)]


async def test_it_is_written_with_the_memory_on_the_timer(rig):
    rig.live(walk(100, step_s=10))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.store.run())
        await asyncio.sleep(0)
        rig.clock.advance(Nanos(11 * MINUTE))
        for _ in range(5_000):
            await asyncio.sleep(0.001)
            if rig.store.saves:
                break
        task.cancel()
    assert rig.store.saves == 1
    assert [one.target_ns for one in rig.kept().fixings] == [at(30), at(90)]


def test_a_killed_life_leaves_no_forecast_out_and_none_twice(tmp_path):
    """What the next one works through again, from the memory of an hour before, replaces what is there."""
    first = Rig(tmp_path)
    ticks = walk(200, step_s=10)
    first.live(ticks[:601])
    first.store.save()
    first.live(ticks[601:])
    append(first.folder, first.store.record.take())  # written, and then killed before the memory was
    again = Rig(tmp_path)
    again.clock.set(at(201))
    again.store.recall()
    again.live(ticks[601:])
    again.store.save()
    kept = again.kept()
    assert [one.target_ns for one in kept.fixings] == [at(30), at(90), at(150)]
    assert kept.fixings[-1].readings == first.model.health(at(200)).readings


def test_what_was_made_after_the_fact_says_so(rig):
    healing = GapReplay(rig.model)
    rig.store.recomputed = lambda _index, at_ns: healing.recomputed(at_ns)
    for one in between(0, 40.3):
        healing.on_tick(one)
    healing.arm()
    for one in between(52.25, 80):
        healing.on_tick(one)
    healing.heal(minutes(MONDAY, 40, 53))
    for one in between(80, 100):
        healing.on_tick(one)
    rig.store.save()
    ten, eleven = (
        {one.bucket: one.live for one in rig.kept().forecasts if one.target_ns == fixing} for fixing in (at(30), at(90))
    )
    assert set(ten.values()) == {True}
    horizons = {6: 35, 5: 45, 4: 60, 3: 75, 2: 80, 1: 85, 0: 88}
    assert eleven == {bucket: not 40.3 <= minute < 80 for bucket, minute in horizons.items()}


def test_an_event_against_the_market_is_kept_with_its_contracts(rig):
    record: MarketRecord = rig.store.records[Index.SPX]
    pairs = (Pair("a", 0.3, 0.4), Pair("b", 0.7, 0.6))
    record.pending["E"] = Pending(at(90), {"early": pairs, "late": pairs[:1]}, MONDAY_DATE)

    class Determined:
        def __init__(self, result: str) -> None:
            self.result = result

    assert record.resolve({"a": Determined("no"), "b": Determined("yes")}, at(91)) == 1  # type: ignore[dict-item]  # results are all that is read
    rig.store.save()
    (market,) = rig.kept().markets
    assert (market.event, market.session, market.target_ns) == ("E", MONDAY_DATE, at(90))
    assert market.spans == {"early": ((0.3, 0.4, False), (0.7, 0.6, True)), "late": ((0.3, 0.4, False),)}
    assert market.readings == record.readings()
    assert market.evidence == pytest.approx(0.6 / 0.7)
    late = {(one.monitor, one.group): one.value for one in market.readings}["market_log_gain", "late"]
    assert late == pytest.approx(log(0.7 / 0.6))


def test_the_folder_lies_beside_the_memory(rig):
    assert rig.folder == rig.store.path(Index.SPX).parent / FOLDER
