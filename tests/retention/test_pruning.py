"""What goes when it is old or too much, oldest first, and what never goes whatever the limits say."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.ground.units import MEGABYTE
from kalshi_daemon.index_feed.recorder import FOLDER
from kalshi_daemon.operations.logging import log_path, rotated_path
from kalshi_daemon.orders.journal import journal_path
from kalshi_daemon.orders.journal_archive import archive_folder, earlier_runs_folder
from kalshi_daemon.recording.reader import SUFFIX, recordings_folder
from kalshi_daemon.retention.pruning import Item, choose, inventory, prune, size_of
from kalshi_daemon.settings.model import RetentionSettings

TODAY = date(2026, 11, 23)


def limits(days_max: int = 400, megabytes_max: int = 2_000) -> RetentionSettings:
    """Without the bounds of the settings, so that small examples do."""
    return RetentionSettings.model_construct(days_max=days_max, megabytes_max=megabytes_max)


def days_ago(count: int) -> str:
    return (TODAY - timedelta(days=count)).isoformat()


def put(path: Path, megabytes: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("r+b") as file:
        file.truncate(megabytes * MEGABYTE)
    return path


def day_files(root: Path, day: str) -> list[Path]:
    """What a day leaves that may go."""
    paths = ArtifactPaths(root)
    return [
        paths.scans / day / "KXINXU.jsonl.gz",
        paths.scans / day / "093500_1" / "KXINX" / "manifest.json",
        root / "data" / "raw" / Path(*day.split("-")) / FOLDER / f"{day.replace('-', '')}_SPX.parquet",
        paths.report("KXINXU", day),
        paths.report_facts("KXINXU", day),
        paths.digest(day),
        paths.digest_page(day),
        paths.session(day, "r1"),
    ]


def protected_files(root: Path, day: str) -> list[Path]:
    """What stays, of the same day or of none."""
    journal, paths = journal_path(root), ArtifactPaths(root)
    return [
        journal,
        journal.with_name(journal.name + "-wal"),
        archive_folder(journal) / f"journal-{day[:7]}.sqlite3",
        paths.audit(day),
        paths.audit(day).with_name(f"{paths.audit(day).name}.gz"),
        root / "calibration" / "SPX.json",
        root / "calibration" / f"SPX.json.refused-{day}T000000Z",
        root / "calibration" / "record" / f"{day}.jsonl",
        root / "data" / "proc" / "state" / "kill_switch",
        root / "data" / "bars" / "index=I:SPX" / "year=2020" / "month=01" / f"SPX-{day}.parquet",
        root / "reports" / "_artifacts" / "go_no_go.json",
        root / "reports" / "_artifacts" / "pilot_session.json",
        root / "reports" / "_artifacts" / "monitors" / "feed_age.json",
        paths.scans / day / "notes.txt",
        root / "notes" / day / "mine.txt",
        log_path(root),
        root / "daemon.lock",
    ]


def test_days_that_are_older_than_the_limit_go_and_leave_no_folders(tmp_path):
    old, kept = days_ago(401), days_ago(400)
    for path in (*day_files(tmp_path, old), *day_files(tmp_path, kept)):
        put(path)
    pruned = prune(tmp_path, TODAY, limits())
    assert (pruned.files, pruned.bytes, pruned.left) == (8, 8 * MEGABYTE, [])
    assert {one.day for one in pruned.items} == {old}
    assert all(path.exists() for path in day_files(tmp_path, kept))
    assert not [path for path in tmp_path.rglob("*") if old in path.name]
    assert prune(tmp_path, TODAY, limits()).files == 0


def test_too_much_lets_the_oldest_days_go_and_no_more(tmp_path):
    for count in range(1, 6):
        for path in day_files(tmp_path, days_ago(count)):
            put(path)
    pruned = prune(tmp_path, TODAY, limits(megabytes_max=25))
    # 40 MB are 15 too many: all of the oldest day is 8, of the next one index values (1), reports (5) and scans (2).
    assert {one.day for one in pruned.items} == {days_ago(5), days_ago(4)}
    assert size_of(tmp_path) == pruned.bytes_remaining <= 25 * MEGABYTE
    assert all(path.exists() for count in range(1, 4) for path in day_files(tmp_path, days_ago(count)))


def test_what_must_stay_stays_however_little_is_allowed(tmp_path):
    root = tmp_path / "live"
    gone = [put(path) for path in day_files(root, days_ago(1))]
    kept = [put(path) for path in (*protected_files(root, days_ago(500)), *day_files(root, TODAY.isoformat()))]
    kept += [
        put(path) for path in (*day_files(root, days_ago(-1)), earlier_runs_folder(journal_path(root)) / "run-1/x")
    ]
    pruned = prune(root, TODAY, limits(days_max=0, megabytes_max=0))
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)
    assert pruned.bytes_remaining == len(kept) * MEGABYTE


def test_earlier_runs_of_the_built_in_exchange_go_first_and_only_for_their_size(tmp_path):
    root = tmp_path / "sim"
    runs = [put(earlier_runs_folder(journal_path(root)) / name / "journal.sqlite3") for name in ("run-1", "run-2")]
    put(day_files(root, days_ago(1))[0])
    assert prune(root, TODAY, limits(days_max=0, megabytes_max=3)).files == 0
    assert prune(root, TODAY, limits(megabytes_max=2)).files == 1
    assert [path.exists() for path in runs] == [False, True]


def test_simulated_days_have_no_age(tmp_path):
    root = tmp_path / "sim"
    for ago in (500, 1, 0, -300):
        put(day_files(root, days_ago(ago))[0])
    assert prune(root, TODAY, limits()).files == 0
    pruned = prune(root, TODAY, limits(megabytes_max=0))
    assert [one.day for one in pruned.items] == [days_ago(500), days_ago(1), days_ago(-300)], (
        "all but the one that is on"
    )


def test_a_rotated_log_is_of_the_day_of_its_last_line(tmp_path):
    rotated = rotated_path(log_path(tmp_path))
    rotated.parent.mkdir()
    line = b'{"ts":"%sT20:00:00.000000Z","level":"info","event":"x"}\n'
    rotated.write_bytes(line % days_ago(500).encode() + line % days_ago(3).encode())
    assert [(one.day, one.kind) for one in inventory(tmp_path)] == [(days_ago(3), "log")]
    rotated.write_bytes(b"no line of ours\n")
    assert inventory(tmp_path) == []


def test_a_file_that_resists_is_named_and_the_others_go(tmp_path):
    for path in day_files(tmp_path, days_ago(401)):
        put(path)
    resists = ArtifactPaths(tmp_path).digest(days_ago(401))

    real = Path.unlink

    def unlink(path: Path, *args: bool) -> None:
        if path == resists:
            raise PermissionError(1, "Operation not permitted")
        real(path, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        pruned = prune(tmp_path, TODAY, limits())
    assert pruned.left == [f"{resists}: Operation not permitted"]
    assert pruned.files == 7


@given(
    st.lists(st.tuples(st.integers(-3, 40), st.integers(0, 20)), max_size=20),
    st.integers(0, 30),
    st.integers(0, 200),
    st.integers(0, 60),
)
def test_the_choice_is_the_oldest_and_just_enough(days, days_max, megabytes_max, megabytes_protected):
    items = [Item(days_ago(ago), f"kind {number}", (), size * MEGABYTE) for number, (ago, size) in enumerate(days)]
    total = sum(one.bytes for one in items) + megabytes_protected * MEGABYTE
    found = limits(days_max, megabytes_max)
    chosen = choose(items, total, TODAY, found)
    kept = [one for one in items if one not in chosen and one.day < TODAY.isoformat()]
    remaining = total - sum(one.bytes for one in chosen)
    assert all(one.day < TODAY.isoformat() for one in chosen)
    assert all(one.day >= days_ago(days_max) for one in kept)
    assert remaining <= megabytes_max * MEGABYTE or not kept
    by_size = [one for one in chosen if one.day >= days_ago(days_max)]
    if by_size:
        assert remaining + by_size[-1].bytes > megabytes_max * MEGABYTE, "one less would not have been enough"
        assert max(one.day for one in by_size) <= min((one.day for one in kept), default="9999")


@settings(max_examples=30, deadline=None)
@given(
    ages=st.sets(st.integers(-1, 12), min_size=1, max_size=4),
    sizes=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    days_max=st.integers(0, 12),
    megabytes_max=st.integers(0, 40),
)
def test_nothing_protected_ever_goes_and_the_limits_hold(ages, sizes, days_max, megabytes_max, tmp_path_factory):
    root = tmp_path_factory.mktemp("state") / "live"
    prunable: list[Path] = []
    kept: list[Path] = []
    for ago in ages:
        files = [put(path, sizes[at % len(sizes)]) for at, path in enumerate(day_files(root, days_ago(ago)))]
        (prunable if ago > 0 else kept).extend(files)
        kept += [put(path, 0) for path in protected_files(root, days_ago(ago))]
    pruned = prune(root, TODAY, limits(days_max, megabytes_max))
    assert all(path.exists() for path in kept)
    left = [path for path in prunable if path.exists()]
    assert size_of(root) == pruned.bytes_remaining
    assert pruned.bytes_remaining <= megabytes_max * MEGABYTE or not left
    assert pruned.files == len(prunable) - len(left)
    shutil.rmtree(root)


def test_finished_recordings_go_before_any_day_and_never_for_their_age(tmp_path):
    root = tmp_path / "demo"
    old, newest = (recordings_folder(root) / f"{day}T142800Z-0a{SUFFIX}" for day in (days_ago(500), days_ago(2)))
    day = ArtifactPaths(root).scans / days_ago(3) / "KXINXU.jsonl.gz"
    for path in (old, newest, day):
        put(path)
    assert prune(root, TODAY, limits()).items == []
    assert [item.kind for item in prune(root, TODAY, limits(megabytes_max=2)).items] == ["recording"]
    assert not old.exists()
    assert newest.exists(), "it may still be written"
    assert day.exists()
