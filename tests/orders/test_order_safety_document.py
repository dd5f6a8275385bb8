"""docs/order-safety.md and README say what the code does: the ambiguity table, the bounds, the figures, the promise."""

import re
from datetime import date, time
from pathlib import Path

import pytest

from kalshi_daemon.app import daemon, session_end
from kalshi_daemon.digest import keeper
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.tables import Column, Table, markdown
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.kalshi.rate_limit import Endpoint, RateLimiter
from kalshi_daemon.orders import cancelling, leases
from kalshi_daemon.orders.ambiguity import RULINGS, FollowUp, Meaning, Operation, Ruling, rule
from kalshi_daemon.orders.journal_schema import MIGRATIONS
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.state import StreamHealth
from kalshi_daemon.windows.table import build_windows
from tests.orders.write_outcomes import OUTCOMES
from tests.support.instruments import SERIES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "order-safety.md").read_text()
README = (ROOT / "README.md").read_text()
SETTINGS = Settings()


_STATE = {
    (Operation.CREATE, Meaning.NOT_APPLIED): "rejected (not sent)",
    (Operation.CREATE, Meaning.REFUSED): "rejected",
    (Operation.CREATE, Meaning.UNKNOWN): "unknown, counted as resting",
    (Operation.CANCEL, Meaning.NOT_APPLIED): "pending cancel",
    (Operation.CANCEL, Meaning.REFUSED): "pending cancel",
    (Operation.CANCEL, Meaning.GONE): "pending cancel until it is known how it ended",
    (Operation.CANCEL, Meaning.UNKNOWN): "pending cancel",
    (Operation.AMEND, Meaning.NOT_APPLIED): "resting, expiry as it was",
    (Operation.AMEND, Meaning.REFUSED): "resting, expiry as it was",
    (Operation.AMEND, Meaning.GONE): "resting until it is known how it ended",
    (Operation.AMEND, Meaning.UNKNOWN): "resting, either expiry: the later for risk, the earlier for renewing",
}
_ASKED = {
    FollowUp.NOTHING: "",
    FollowUp.BY_TICKER: "list by ticker for our id",
    FollowUp.BY_ORDER_ID: "ask by order id",
}


_AGAIN = {
    (Operation.CANCEL, Meaning.NOT_APPLIED),
    (Operation.CANCEL, Meaning.REFUSED),
    (Operation.CANCEL, Meaning.UNKNOWN),
    (Operation.AMEND, Meaning.NOT_APPLIED),
    (Operation.AMEND, Meaning.UNKNOWN),
}
"""A create is never sent again blindly."""


def _cell(operation: Operation, ruling: Ruling) -> str:
    parts = [
        _STATE[operation, ruling.meaning],
        _ASKED[ruling.ask],
        "same request again" if (operation, ruling.meaning) in _AGAIN else "",
    ]
    return "; ".join(part for part in parts if part)


def table() -> str:
    """The table as it must stand in the document."""
    columns = [Column("outcome"), *(Column(operation.value) for operation in Operation)]
    rows = [
        (name, *(_cell(operation, rule(operation, error)) for operation in Operation))
        for name, error in OUTCOMES.items()
    ]
    return markdown(Table(columns, rows)).rstrip()


def section(title: str) -> str:
    found = DOCUMENT.partition(f"\n## {title}\n")[2]
    assert found, title
    return found.partition("\n## ")[0]


# --- ambiguity


def test_the_ambiguity_table_is_the_functions_own():
    assert table() in DOCUMENT, f"docs/order-safety.md must hold exactly this:\n\n{table()}"


def test_every_ruling_of_the_code_is_in_the_table():
    shown = {operation: {id(rule(operation, error)) for error in OUTCOMES.values()} for operation in Operation}
    for operation, rows in RULINGS.items():
        assert {id(ruling) for _kind, ruling in rows} <= shown[operation], operation


# --- streams that lie


def test_every_figure_of_the_streams_is_in_the_table():
    rows = section("Streams that lie")
    missing = [name for name in StreamHealth.__slots__ if f"`{name.replace('_ns', '_ms')}`" not in rows]
    assert missing == []


def test_every_bound_in_the_tables_is_the_settings_default():
    named = re.findall(r"`(guards|kalshi|orders)\.([a-z_]+)` = ([\d.]+)", DOCUMENT)
    assert len(named) >= 8
    for section_name, key, value in named:
        assert getattr(getattr(SETTINGS, section_name), key) == float(value), f"{section_name}.{key}"


# --- rate limits


def orders_with_every_profile_full() -> int:
    """Each profile in all of its bins in every window that is open at once, at the fullest instant of a day."""
    day = date(2026, 11, 23)
    session = Session(day.isoformat(), eastern_ns(day, time(9, 30)), eastern_ns(day, time(16)), half_day=False)
    windows = build_windows(session, SETTINGS.windows, SERIES.values())
    profiles = (SETTINGS.profiles.wide, SETTINGS.profiles.size, SETTINGS.profiles.close)
    most = 0
    for instant in {window.opens_ns for window in windows}:
        open_now = [window for window in windows if window.opens_ns <= instant < window.cancel_at_ns]
        most = max(most, sum(p.bins for p in profiles for w in open_now if w.series.ticker in p.series))
    return most


def test_renewals_take_less_than_a_fifth_of_the_basic_tier():
    limiter = RateLimiter(SETTINGS.kalshi.cancel_reserve_share, Nanos(0))
    every_s = SETTINGS.orders.lease_s / leases.RENEW_AT
    orders = orders_with_every_profile_full()
    share = orders * limiter.cost(Endpoint.AMEND) / every_s / limiter.write.refill_per_s
    assert share < 0.20
    told = re.search(r"(\d+) orders at most.*?([\d.]+) %", section("Rate limits"), re.DOTALL)
    assert told is not None
    assert (int(told[1]), float(told[2])) == (orders, round(100 * share, 1))


# --- the way down


def test_the_stop_ladder_ends_before_systemd_does():
    unit = (ROOT / "deploy" / "kalshi-daemon.service").read_text()
    timeout_s = int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1])  # type: ignore[index] # it is there
    longest = next(m for m in type(SETTINGS.orders).model_fields["stop_deadline_s"].metadata if hasattr(m, "le")).le
    rows = section("Shutdown sequence")
    bounds = [
        SETTINGS.orders.stop_deadline_s,
        daemon.ANSWER_WITHIN / SECOND,
        session_end._ASK_WITHIN_S,
        daemon.FILES_WITHIN_S,
        keeper.AT_STOP_WITHIN_S,
    ]
    assert f"{sum(bounds):g} s of {timeout_s} s" in rows
    assert f"{longest:g} s, it is {longest + sum(bounds[1:]):g} s" in rows
    assert longest + sum(bounds[1:]) < timeout_s
    for bound in (*bounds, session_end._ASK_WITHIN_UNVERIFIED_S, cancelling.SWEEP_MIN / SECOND):
        assert f"{bound:g} s" in rows


# --- the journal


def test_every_table_of_the_journal_is_described():
    tables = set(re.findall(r"CREATE TABLE (\w+)", "".join(MIGRATIONS))) | {"schema"}
    assert tables == set(re.findall(r"^\| `(\w+)` \|", section("The journal"), re.MULTILINE))


# --- the promise

PROMISE = (
    "no order of ours rests on the exchange for more than the lease (default 90 s) without a living daemon that knows"
    " it; no order is sent twice; no fill is missed or counted twice; when the daemon says zero, the exchange says zero"
)


@pytest.mark.parametrize("text", [README, DOCUMENT], ids=["README", "order-safety"])
def test_the_promise_stands_in_its_own_words(text):
    assert PROMISE in " ".join(text.replace("**", "").split())


def test_each_part_of_the_promise_names_tests_that_exist():
    rows = re.findall(r"^\| (no order|no fill|when the daemon)[^|]*\|(.*)\|$", README, re.MULTILINE)
    assert len(rows) == 4
    for _part, cells in rows:
        names = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", cells)
        assert len(names) >= 2
        for path, function in names:
            source = (ROOT / path).read_text()
            assert not function or f"def {function}(" in source, (path, function)
