"""A packed day is the same day: for every reader, whatever is killed when, in few files."""

import gzip
import itertools
import subprocess
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.artifacts import scan_files
from kalshi_daemon.artifacts.scan_files import LooseScan, loose_scans, pack_path, read_pack, scans_of_day
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.index_feed.day_files import day_file, read_recordings
from kalshi_daemon.index_feed.recorder import folder_of
from kalshi_daemon.retention import packing
from kalshi_daemon.retention.packing import Work, audit_pack, pack, pack_scans, pending
from tests.retention.day_rig import DAY, SERIES, DayRig, killed_at
from tests.support.instruments import INDICES


def values_of(path):
    return pq.ParquetFile(path).read()["value"].to_pylist()


@pytest.fixture
def rig(tmp_path):
    """A small day of everything."""
    made = DayRig(tmp_path)
    for name, series in itertools.product(("093500", "093500_1", "103001", "103001_10", "103001_9"), SERIES):
        made.scan(name, series, window={"event_ticker": "KXINXU-26NOV23H1000"}, price="0.4200", fair=0.1 + 0.2)
    for second, index in itertools.product((34_500, 34_560, 34_620), INDICES):
        made.flush(second, index)
    for _ in range(5):
        made.line()
    return made


def test_a_packed_day_is_one_file_per_series_index_and_trail_and_reads_the_same(rig):
    before, plans = rig.seen(), rig.plans()
    assert rig.pack() == []
    assert rig.seen() == before
    assert rig.plans() == plans, "in the order of the folders"
    assert [str(path.relative_to(rig.root / "data")) for path in rig.files()] == [
        "proc/audit/live_orders_2026-11-23.jsonl.gz",
        "raw/2026/11/23/polygon_index/20261123_NDX.parquet",
        "raw/2026/11/23/polygon_index/20261123_SPX.parquet",
        "raw/kalshi/2026-11-23/KXINXU.jsonl.gz",
        "raw/kalshi/2026-11-23/KXNASDAQ100U.jsonl.gz",
    ]
    assert {path.name for path in (rig.paths.scans / DAY).iterdir()} == {f"{one}.jsonl.gz" for one in SERIES}
    assert pending(rig.paths, "9999-12-31") == []


def test_a_scan_is_byte_for_byte_what_it_was_and_any_gzip_shows_it(rig):
    before = {one.name: one.read() for one in loose_scans(rig.paths, DAY, SERIES[0])}
    rig.pack()
    found = list(read_pack(pack_path(rig.paths, DAY, SERIES[0])))
    assert [(one.name, one.content, one.written_ns) for one in found] == [
        (one.name, one.content, one.written_ns) for one in before.values()
    ]
    shown = subprocess.run(["gzip", "-dc", found[0].path], capture_output=True, check=True).stdout.splitlines()
    assert shown[0].startswith(b'{"scan":"093500","written_ns":')
    assert len(shown) == len(before)


def test_what_comes_after_a_day_was_packed_joins_it(rig):
    rig.pack()
    rig.scan("093500")  # the same name again, as a session that is simulated twice makes it
    rig.scan("090000")
    rig.flush(34_500)
    rig.line()
    before, plans = rig.seen(), rig.plans()
    rig.pack()
    assert (rig.seen(), rig.plans()) == (before, plans)
    assert len(rig.files()) == 5


def test_more_than_one_piece_takes_all(rig, monkeypatch):
    monkeypatch.setattr(packing, "SCANS_A_PIECE", 2)
    monkeypatch.setattr(packing, "RECORDINGS_A_PIECE", 2)
    before = rig.seen()
    assert pack_scans(rig.paths, DAY, SERIES[0]).more
    assert rig.seen() == before
    rig.pack()
    assert (rig.seen(), len(rig.files())) == (before, 5)


def test_a_flush_that_is_packed_and_still_lies_there_is_known_however_many_come_before_it(rig, monkeypatch):
    folder = folder_of(rig.root / "data" / "raw", rig.midnight)
    late = folder / "20261123T093700_SPX.parquet"
    content = late.read_bytes()
    rig.pack()
    late.write_bytes(content)  # as after a kill between the pack and its removal
    for second in (34_501, 34_502, 34_503):
        rig.flush(second)
    before = rig.values()
    monkeypatch.setattr(packing, "RECORDINGS_A_PIECE", 1)
    rig.pack()
    assert rig.values() == before
    assert len(rig.files()) == 5


def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(tmp_path):
    reached = True
    steps = 0
    while reached:
        rig = DayRig(tmp_path / str(steps))
        for name in ("093500", "103001"):
            rig.scan(name, SERIES[0])
        rig.flush(34_500)
        rig.flush(34_560)
        rig.line()
        before = rig.seen()
        with killed_at(steps) as reached_at:
            rig.pack()
        reached = reached_at()
        assert rig.seen() == before, f"after step {steps}"
        rig.scan("113001", SERIES[0])  # life goes on
        rig.flush(34_620)
        rig.line()
        before = rig.seen()
        rig.pack()
        assert rig.seen() == before, f"packed again after step {steps}"
        assert len(rig.files()) == 3, f"after step {steps}"
        steps += 1
    assert steps > 20


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("scan"), st.sampled_from(["093500", "093500_1", "120000"]), st.sampled_from(SERIES)),
        st.tuples(st.just("flush"), st.integers(34_500, 34_502), st.sampled_from(INDICES)),
        st.tuples(st.just("line")),
        st.tuples(st.just("pack"), st.integers(0, 40)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS, pieces=st.integers(1, 3))
def test_whatever_comes_and_is_killed_in_whatever_order_each_is_there_once(actions, pieces, tmp_path_factory):
    rig = DayRig(tmp_path_factory.mktemp("day"))
    plans: Counter[str] = Counter()
    values: list[float] = []
    lines: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "SCANS_A_PIECE", pieces)
        patch.setattr(packing, "RECORDINGS_A_PIECE", pieces)
        for kind, *rest in actions:
            first = rig.made + 1
            if kind == "scan":
                rig.scan(*rest)
                plans[f"p{rig.made}"] += 1
            elif kind == "flush":
                rig.flush(*rest)
                values += [float(number) for number in range(first, rig.made + 1)]
            elif kind == "line":
                rig.line()
                lines.append(rig.made)
            else:
                with killed_at(rest[0]):
                    rig.pack()
            assert rig.seen() == (plans, sorted(values), lines)
        rig.pack()
    assert rig.seen() == (plans, sorted(values), lines)
    assert pending(rig.paths, DAY) == []


# --- what cannot be read


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_scan_that_cannot_be_read_stays_and_is_named(rig, content):
    broken = rig.scan("110000")
    broken.write_bytes(content)
    left = rig.pack()
    assert [str(broken) in sentence for sentence in left] == [True]
    assert broken.read_bytes() == content
    reader = scans_of_day(rig.paths, DAY)
    assert len(list(reader)) == 10
    assert len(reader.problems) == 1


def test_a_flush_that_cannot_be_read_stays_and_is_named(rig):
    broken = rig.flush(34_680)
    broken.write_bytes(broken.read_bytes()[:60])
    assert [str(broken) in sentence for sentence in rig.pack()] == [True]
    assert broken.exists()


def test_flushes_of_other_columns_stay_rather_than_get_values_nobody_recorded(rig):
    other = rig.flush(34_680)
    table = pq.ParquetFile(other).read()
    pq.write_table(table.drop_columns([table.column_names[-1]]), other)
    before = rig.values()
    assert ["other columns" in sentence for sentence in rig.pack()] == [True]
    assert other.exists()
    assert rig.values() == before


def test_rows_keep_the_order_in_which_they_were_written(rig):
    first, *others = (rig.flush(34_800) for _ in range(11))
    folder = first.parent
    before = list(itertools.chain(*read_recordings(folder, values_of, lambda: None, INDICES).parts[Index.SPX]))
    assert [others[0].stem[-2:], others[9].stem[-3:]] == ["_1", "_10"]
    rig.pack()
    after = list(itertools.chain(*read_recordings(folder, values_of, lambda: None, INDICES).parts[Index.SPX]))
    assert before == after == sorted(after)


@pytest.mark.parametrize("what", ["scans", "index values", "audit"])
def test_a_damaged_pack_keeps_everything_beside_it(rig, what):
    rig.pack()
    rig.scan("110000")
    rig.flush(34_680)
    rig.line()
    path = {
        "scans": pack_path(rig.paths, DAY, SERIES[0]),
        "index values": day_file(folder_of(rig.root / "data" / "raw", rig.midnight), "20261123", Index.SPX),
        "audit": audit_pack(rig.paths.audit(DAY)),
    }[what]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = {one: one.read_bytes() for one in rig.files()}
    (work,) = (one for one in pending(rig.paths, DAY) if one.what == what and one.of in {"", SERIES[0], "SPX"})
    with pytest.raises(StateCorrupt, match=path.name):
        pack(rig.paths, work)
    after = {one.name.removesuffix(".packing"): one.read_bytes() for one in rig.files()}
    assert after == {one.name: content for one, content in before.items()}


def test_a_pack_that_was_not_written_as_meant_removes_nothing(rig, monkeypatch):
    before = rig.seen()
    real = gzip.GzipFile.write
    monkeypatch.setattr(gzip.GzipFile, "write", lambda file, data: real(file, data.replace(b"p1", b"p0")))
    with pytest.raises(StateCorrupt, match="were written"):
        pack(rig.paths, Work(DAY, "scans", SERIES[0]))
    monkeypatch.undo()
    assert rig.seen() == before
    assert not [path for path in rig.files() if "draft" in path.name or path.name.endswith(".gz")]


def test_empty_folders_and_drafts_of_a_crash_go_with_the_day_and_strangers_stay(rig):
    (rig.paths.scans / DAY / "120000" / SERIES[0]).mkdir(parents=True)
    draft = rig.paths.scans / DAY / "093500" / SERIES[0] / ".manifest.json.tmp"
    draft.write_bytes(b"{")
    note = rig.paths.scans / DAY / "103001" / SERIES[0] / "note.txt"
    note.write_text("mine")
    folder = folder_of(rig.root / "data" / "raw", rig.midnight)
    (folder / ".20261123T093500_SPX.parquet.tmp").write_bytes(b"PAR1")
    rig.pack()
    assert note.read_text() == "mine"
    assert [path.name for path in rig.files() if path.name.startswith(".")] == []
    assert not (rig.paths.scans / DAY / "120000").exists()


def test_a_torn_last_line_of_the_trail_stays_a_line_of_its_own(rig):
    path = rig.paths.audit(DAY)
    path.write_bytes(path.read_bytes() + b'{"numb')
    rig.pack()
    path.write_bytes(b'{"number":99}\n')
    rig.pack()
    lines = gzip.decompress(audit_pack(path).read_bytes()).splitlines()
    assert lines[-2:] == [b'{"numb', b'{"number":99}']


def test_a_trail_that_lies_in_two_files_is_shown_once_as_the_runbook_says(rig):
    """A kill between the pack and the removal of what was packed, and lines that came late."""
    path = rig.paths.audit(DAY)
    lines = path.read_text().splitlines()
    rig.pack()
    path.with_name(f"{path.name}.packing").write_text("".join(f"{line}\n" for line in lines))
    path.write_text('{"number":99}\n')
    [command] = [
        line.partition("#")[0].strip()
        for line in (Path(__file__).parents[2] / "docs" / "operations.md").read_text().splitlines()
        if line.startswith("zcat -f ") and "live_orders_" in line
    ]
    command = command.replace("state/live/data/proc/audit", str(path.parent))
    shown = subprocess.run(["bash", "-c", command], capture_output=True, check=True, text=True).stdout.splitlines()
    assert sorted(shown) == sorted([*lines, '{"number":99}'])


def test_days_after_the_last_one_asked_for_are_not_touched(rig):
    assert pending(rig.paths, "2026-11-22") == []


# --- readers beside it


@pytest.mark.parametrize("read_before", [0, 1, 5])
def test_a_reader_finds_in_the_pack_what_was_packed_under_its_hands(rig, monkeypatch, read_before):
    before = Counter(rig.plans())
    real = LooseScan.read
    reads = []

    def read(one: LooseScan):
        reads.append(one)
        if len(reads) == read_before + 1:
            monkeypatch.setattr(scan_files.LooseScan, "read", real)
            rig.pack()
        return real(one)

    monkeypatch.setattr(scan_files.LooseScan, "read", read)
    assert Counter(rig.plans()) == before
    assert len(reads) == read_before + 1


def test_a_reader_of_index_values_starts_again_when_they_are_packed_under_its_hands(rig, monkeypatch):
    before = rig.values()
    real = pq.ParquetFile

    def read(path):
        monkeypatch.setattr(pq, "ParquetFile", real)
        rig.pack()
        return real(path)

    monkeypatch.setattr(pq, "ParquetFile", read)
    assert rig.values() == before
    assert len(rig.files()) == 5


def test_the_same_scan_is_told_apart_by_content_alone(rig):
    one = rig.scan("110000")
    other = rig.scan("110000", SERIES[1])
    other.write_bytes(one.read_bytes())
    assert rig.plans().count("p" + str(rig.made - 1)) == 2, "two series, two scans"


def test_killed_is_what_it_says(tmp_path):
    with killed_at(0) as reached:
        (tmp_path / "x").write_bytes(b"")
        (tmp_path / "x").unlink()
    assert reached()
    assert (tmp_path / "x").exists()
