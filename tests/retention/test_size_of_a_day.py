"""A day as a session leaves it, in numbers and shapes, fits into the promised files and bytes once it is packed."""

import random

import orjson

from kalshi_daemon.artifacts.files import encode
from kalshi_daemon.artifacts.manifest import build_manifest
from kalshi_daemon.domain.index import Bar, Channel, Tick
from kalshi_daemon.ground.durable import append_lines
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.index_feed.recorder import Columns, write_files
from tests.artifacts.artifact_rig import RUN, judged
from tests.guardrails.guard_rig import order_of, plan_of
from tests.retention.day_rig import DAY, DayRig
from tests.support.instruments import INDICES
from tests.support.written import as_written

FILES_MAX, BYTES_MAX = 40, 10_000_000
SCANS = {"KXINXU": 400, "KXNASDAQ100U": 500, "KXINX": 25, "KXNASDAQ100": 25}
FLUSHES, SECONDS_A_FLUSH, LINES = 130, 180, 7_000


def test_a_day_takes_at_most_forty_files_and_ten_megabytes(tmp_path):
    rig, chance = DayRig(tmp_path), random.Random(7)
    scans(rig, chance)
    values(rig, chance)
    trail(rig, chance)
    reports(rig, chance)
    files, size = len(rig.files()), sum(path.stat().st_size for path in rig.files())
    assert (files > 1_200, size > 12_000_000) == (True, True), "or it is no such day"
    rig.pack()
    files, size = len(rig.files()), sum(path.stat().st_size for path in rig.files())
    assert files <= FILES_MAX
    assert size <= BYTES_MAX / 2, "the other half is for journal and log"


def scans(rig: DayRig, chance: random.Random) -> None:
    """Nine kilobytes each; fairs, ids and times differ from scan to scan as they do."""
    plan, judgement = judged(plan_of())
    model = as_written(build_manifest(plan, judgement, (order_of(),), run_id=RUN, mode="sim"))
    for series, count in SCANS.items():
        for number in range(count):
            at = 34_500 + number * 45
            looks = [
                {**model["looks"][0], "market": f"{series}-26NOV23H1200-T{6_800 + 5 * step}", "outcome": "no_edge"}
                | {"fair": chance.random(), "model_fair": chance.random()}
                for step in range(26)
            ]
            found = {**model, "plan_id": f"{chance.getrandbits(48):012x}-{number}", "series": series, "looks": looks}
            path = rig.scan(f"{at // 3_600:02}{at // 60 % 60:02}{at % 60:02}", series)
            path.write_bytes(encode(found, indent=False))


def values(rig: DayRig, chance: random.Random) -> None:
    """A value a second and a bar a minute, of both indices; in a third of the files, to be quicker."""
    for number in range(FLUSHES):
        columns = {index: Columns() for index in INDICES}
        start = Nanos(rig.midnight + (34_200 + SECONDS_A_FLUSH * number) * SECOND)
        for index, rows in columns.items():
            for second in range(SECONDS_A_FLUSH):
                at = Nanos(start + second * SECOND)
                level = round(6_800 + chance.gauss(0, 20), 2)
                rows.add_tick(Tick(index, Channel.VALUE, level, at, Nanos(at + chance.randrange(400_000_000))))
            for minute in range(1, SECONDS_A_FLUSH // 60 + 1):
                end = Nanos(start + 60 * minute * SECOND)
                rows.add_bar(Bar(index, Channel.MINUTE, 6_800.0, 6_801.5, 6_799.25, 6_800.5, start, end, end))
        write_files(rig.root / "data" / "raw", end, columns)


def trail(rig: DayRig, chance: random.Random) -> None:
    line = {
        "timestamp": "",
        "mode": "sim",
        "run_id": RUN,
        "action": "amend_sent",
        "market": "KXINXU-26NOV23H1200-T6800",
    }
    lines = [
        line | {"number": number, "client_order_id": f"kd-{chance.getrandbits(64):016x}-{number}", "detail": "x" * 180}
        for number in range(LINES)
    ]
    append_lines(rig.paths.audit(DAY), [encode(line, indent=False) for line in lines])


def reports(rig: DayRig, chance: random.Random) -> None:
    """Not packed: of a day of four series, 30 kB a piece."""
    paths = [path(series, DAY) for series in SCANS for path in (rig.paths.report, rig.paths.report_facts)]
    paths += [rig.paths.digest(DAY), rig.paths.digest_page(DAY), rig.paths.session(DAY, RUN)]
    paths.append(rig.root / "calibration" / "record" / f"{DAY}.jsonl")
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps([chance.random() for _ in range(1_500)]))
