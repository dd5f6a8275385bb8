"""Targets that come from files: settings, constants, the calibration's memory, the journal."""

import hashlib
import json
import random
import re
import sqlite3
import tempfile
import tomllib
from codecs import BOM_UTF8
from dataclasses import replace
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, Final

import orjson

from kalshi_daemon.calibration import constants_file
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError, StateCorrupt
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.memory import documents as memory
from kalshi_daemon.orders.booked import BookedFill
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.settings.loader import Credentials, LoadedSettings, load_settings
from kalshi_daemon.settings.model import CalibrationSettings
from tests.fuzz import corpus, oracle
from tests.fuzz.codecs import bend_json
from tests.fuzz.mutation import noise
from tests.fuzz.oracle import must
from tests.fuzz.target import Target

_ROOT: Final = Path(__file__).resolve().parents[2]
_OPEN: Final = Nanos(1_795_444_200 * SECOND)  # 2026-11-23 09:30 New York


@cache
def _folder() -> Path:
    """Of this process, in memory where there is such a place."""
    shared = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(prefix="kd-fuzz-", dir=shared if shared.is_dir() else None)
    _FOLDERS.append(made)
    return Path(made.name)


_FOLDERS: Final[list[tempfile.TemporaryDirectory[str]]] = []


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


# --- settings: TOML, then lines `@NAME=value` for the environment

_TOML: Final = (
    "nan", "inf", "-inf", "1e400", "-1", "0", "-0.0", "1e3", "9223372036854775807", "1e15", "0x10", "1_000", "true",
    '""', '"5"', '"nan"', "[]", "{}", "09:35:00", "2026-11-23", "1979-05-27T07:32:00Z", "[1]", '["V"]', "0.5", "1",
    "1000", '"live"', "'\u0663'", "+5", "1e-300",
)  # fmt: skip
_ENV: Final = ("nan", "inf", "-1", "1e400", "0", "5", "5.0", "true", "null", "[]", "{", '["V"]', "\u0665", " 5", "1_0")


def _bend_settings(rng: random.Random, data: bytes) -> bytes:
    lines = data.decode(errors="replace").split("\n")
    known = [n for n, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    if not known or rng.random() < 0.02:
        return noise(rng, data)
    at = rng.choice(known)
    name, _, _ = lines[at].partition("=")
    turn = rng.random()
    if turn < 0.6:
        lines[at] = f"{name}={'' if name.startswith('@') else ' '}{rng.choice(_ENV if name[0] == '@' else _TOML)}"
    elif turn < 0.7:
        lines.insert(at, lines[at])
    elif turn < 0.8:
        lines[at] = f"{name.strip()}x = 1"
    elif turn < 0.9:
        section = next((line.strip("[]") for line in reversed(lines[:at]) if line.startswith("[")), "")
        key = f"{section}.{name.strip()}" if section else name.strip()
        variable = "KALSHI_DAEMON_" + key.upper().replace(".", "__")
        lines.append(f"@{variable}={rng.choice(_ENV)}")
    else:
        del lines[at]
    return "\n".join(lines).encode()


def _read_settings(data: bytes) -> object:
    lines = data.split(b"\n")
    env = [line[1:].decode(errors="replace").partition("=") for line in lines if line.startswith(b"@")]
    toml = _file("config.toml", b"\n".join(line for line in lines if not line.startswith(b"@")))
    return load_settings(
        toml, {name: value for name, _, value in env if "\0" not in name}, None, {}, needs=Credentials.NONE
    )


_MAY_BE_ZERO: Final = (
    "subaccount", "cancel_reserve_share", "rest_calls_per_min", "decay_min", "ready_after_minutes",
    "settlement_basis_bp", "memory_sessions_max", "memory_slow_days_max", "warm_up_sessions", "min_ev", "k_stale",
    "k_vol", "k_calibration", "vol_error", "base_edge", "order_delay_s", "book_weight", "tail_probability",
    "keep_edge_share", "balance_floor_dollars", "blackout_before_s", "blackout_after_s", "unknown_ask_after_ms", "seed",
    "momentum_share", "reduce_only_s", "makers", "half_spread_cents_min", "half_spread_cents_max", "notice_s_max",
    "pull_s_max", "noise_error_cents", "create_ms", "cancel_ms", "read_ms", "stream_ms", "feed_ms", "spread",
)  # fmt: skip
_FINITE_MAX: Final = 2**32


def _judge_settings(data: bytes, made: object) -> None:
    assert isinstance(made, LoadedSettings)
    env = dict(
        line[1:].partition("=")[::2] for line in data.decode(errors="replace").split("\n") if line.startswith("@")
    )
    toml = b"\n".join(line for line in data.split(b"\n") if not line.startswith(b"@"))
    for _, value in _leaves(
        tomllib.loads(toml.removeprefix(BOM_UTF8).decode())
    ):  # what a variable replaces is not in force
        must(bool(env) or not isinstance(value, float) or isfinite(value), "a float that is not finite")
    settings = made.settings
    for name, value in _leaves(settings.model_dump()):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        must(isfinite(value), f"{name} is not finite")
        must(abs(value) <= _FINITE_MAX, f"{name} is not bounded")
        must(value >= 0, f"{name} is negative")
        must(value > 0 or name in _MAY_BE_ZERO or "_from" in name, f"{name} is zero")
    guards = settings.guards
    must(guards.daily_loss_dollars <= guards.weekly_loss_dollars, "a day's budget beyond the week's")
    must(settings.kalshi.status_poll_s < guards.exchange_status_age_s_max, "a guard that closes before every read")
    for name, text in env.items():
        if name.endswith(("_DOLLARS", "_MS", "_AGE_S_MAX", "__LOTS", "__SEED")):
            must(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text, re.ASCII) is not None, f"{name}: another form of number")
    for name, profile in settings.profiles:
        must(
            not profile.enabled or profile.lots <= settings.guards.lots_per_quote_max, f"lots of {name} beyond a quote"
        )


def _leaves(node: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [leaf for key, one in node.items() for leaf in _leaves(one, str(key))]
    if isinstance(node, (list, tuple)):
        return [leaf for one in node for leaf in _leaves(one, name)]
    return [(name, node)]


# --- constants


def _read_constants(data: bytes) -> object:
    return constants_file.read_constants(_file("constants.json", data))


def _same_kinds(found: Any, like: Any, where: str) -> None:
    """Numbers where numbers stand, texts where texts stand; lists and tables may be longer or shorter."""
    if isinstance(like, dict):
        must(isinstance(found, dict), f"{where}: no table")
        for key in found.keys() & like.keys():
            _same_kinds(found[key], like[key], f"{where}.{key}")
    elif isinstance(like, list):
        must(isinstance(found, list), f"{where}: no list")
        for one in found if like else ():
            _same_kinds(one, like[0], where)
    elif isinstance(like, (int, float)) and not isinstance(like, bool):
        oracle.number(found, -1e18, 1e19)
    elif isinstance(like, str):
        must(isinstance(found, str), f"{where}: no text")


def _judge_constants(data: bytes, _made: object) -> None:
    found = oracle.document(data)
    like = dict(constants_file.document_of(constants_file.SHIPPED))
    like.pop("provenance")
    _same_kinds(found, json.loads(json.dumps(like)), "constants")
    must(all(value > 0 for value in found["diurnal"]), "diurnal: not positive")


# --- the calibration's memory: a document, wrapped with a digest that is right


def _model() -> RollingCalibration:
    session = Session("2026-11-23", _OPEN, Nanos(_OPEN + 390 * MINUTE), half_day=False)
    model = RollingCalibration(
        Index.SPX,
        CalibrationSettings(),
        lambda ns: session if session.open_ns <= ns <= session.close_ns else None,
    )
    rng, level = random.Random("memory"), 6_800.0
    for step in range(240):
        at = Nanos(_OPEN + (step * 30 + 1) * SECOND)
        level *= 1 + rng.gauss(0.0, 2e-4)
        model.on_tick(Tick(Index.SPX, Channel.VALUE, level, at, at))
    return model


@cache
def _into() -> RollingCalibration:
    return _model()


def _read_memory(data: bytes) -> object:
    header = {"format": memory.FORMAT, "version": memory.VERSION, "sha256": hashlib.sha256(data).hexdigest()}
    document = memory.decoded(orjson.dumps(header) + b"\n" + data + b"\n")
    memory.restore(_into(), document)
    return memory.remember(_into())


def _judge_memory(data: bytes, made: Any) -> None:
    oracle.document(data)
    for name, value in _leaves(made):
        must(not isinstance(value, float) or isfinite(value), f"{name} is not finite")
    seen = made["last_seen_ns"]
    must(seen is None or 0 < seen < 2**62, "last_seen_ns: no time")


# --- the journal: one value of one row, or some bytes

_EVENT: Final = corpus.MARKET["event_ticker"]


@cache
def _journal() -> bytes:
    """A journal with two orders, a fill, a result, a position and a group, all in its file."""
    path = _folder() / "seed.sqlite3"
    path.unlink(missing_ok=True)
    journal = Journal.open(path, _OPEN)
    order = Order(
        client_order_id="kd-1-1",
        market_ticker=corpus.MARKET["ticker"],
        event_ticker=_EVENT,
        series_ticker="KXINXU",
        profile="wide",
        side=Side.ASK,
        price=Price(4200),
        count=Count(200),
        status=Status.INTENDED,
        expires_ns=Nanos(_OPEN + 90 * SECOND),
        created_ns=_OPEN,
        updated_ns=_OPEN,
        fair=0.4321,
        required_edge=0.02,
    )
    journal.record_intents([order, replace(order, client_order_id="kd-1-2")])
    journal.record_outcome(replace(order, status=Status.RESTING, order_id="o-1"), _OPEN, "Acked", {"remaining": 200})
    fill = Fill("t-1", "o-1", order.market_ticker, Side.ASK, Price(4200), Count(100), Dollars(3), False, _OPEN)
    journal.add_fill(BookedFill(fill, _EVENT, "KXINXU"), _OPEN)
    journal.set_cursor("fills", _OPEN)
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    return path.read_bytes()


_COLUMNS: Final = {
    "orders": ("side", "price", "count", "created_ns", "fair", "required_edge", "status", "expires_ns", "order_id",
               "filled", "updated_ns", "reason", "market_ticker", "profile"),
    "fills": ("order_id", "side", "price", "count", "fee", "is_taker", "event_ns", "market_ticker"),
    "cursors": ("value",),
}  # fmt: skip
_VALUES: Final = (
    -1, 0, 1, 2, 10_000, 10_001, 2**63 - 1, -(2**63), 1.5, float("inf"), "", "x", "bid", "ask", "resting", "filled",
    "\u0660", "1e9", 1_795_446_000, 1_795_446_000_000, "bytes:ff", "bytes:00",
)  # fmt: skip


def _bend_journal(rng: random.Random, _data: bytes) -> bytes:
    if rng.random() < 0.35:
        size = len(_journal())
        spots = [[rng.randrange(size), rng.randrange(256)] for _ in range(rng.randint(1, 40))]
        return orjson.dumps({"bytes": spots})
    table = rng.choice(list(_COLUMNS))
    return json.dumps([table, rng.choice(_COLUMNS[table]), rng.choice(_VALUES)]).encode()


def _read_journal(data: bytes) -> object:
    path = _file("journal.sqlite3", _damaged(data))
    for beside in ("-wal", "-shm"):
        Path(f"{path}{beside}").unlink(missing_ok=True)
    journal = Journal.open(path, _OPEN, synchronous="normal")
    try:
        return [
            *journal.live_orders(),
            *journal.orders_since(Nanos(0), 100),
            *journal.fills_since(Nanos(0)),
            *journal.fills_of("o-1"),
        ], [journal.cursor("fills"), journal.groups(), journal.halts(), journal.history("kd-1-1")]
    finally:
        journal.close()


def _damaged(data: bytes) -> bytes:
    try:
        what = json.loads(data)
    except ValueError:
        return data
    if isinstance(what, dict) and isinstance(what.get("bytes"), list):
        content = bytearray(_journal())
        for spot in what["bytes"]:
            content[spot[0] % len(content)] = spot[1] % 256
        return bytes(content)
    if isinstance(what, list) and len(what) == 3 and what[1] in _COLUMNS.get(str(what[0]), ()):
        return _rewritten(*what)
    return _journal()


def _rewritten(table: str, column: str, value: Any) -> bytes:
    path = _file("rewritten.sqlite3", _journal())
    if isinstance(value, str) and value.startswith("bytes:"):
        value = bytes.fromhex(value[6:])
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        if isinstance(value, bytes):  # text that is no UTF-8
            connection.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT)", (value,))
        else:
            connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
        connection.commit()
    except (sqlite3.Error, OverflowError):
        connection.rollback()  # the file's own types refuse it
    finally:
        connection.close()
    return path.read_bytes()


def _judge_journal(_data: bytes, made: Any) -> None:
    """Whatever was damaged: what comes back is what an order or a fill can be."""
    rows, _ = made
    for row in rows:
        one = row.fill if isinstance(row, BookedFill) else row
        must(isinstance(one.price, int) and 0 <= one.price <= 10_000, "price: out of range")
        must(isinstance(one.count, int) and one.count >= 0, "count: negative")
        for name in ("created_ns", "expires_ns", "updated_ns", "event_ns"):
            at = getattr(one, name, None)
            must(at is None or (isinstance(at, int) and 1_500_000_000 * SECOND < at < 4_200_000_000 * SECOND), name)
        must(0 <= getattr(one, "filled", 0) <= one.count, "filled: beyond the order")
        fair = getattr(one, "fair", 0.5)
        must(isinstance(fair, float) and isfinite(fair) and 0 <= fair <= 1, "fair: no probability")


_SETTINGS_SEED: Final = (_ROOT / "config.toml").read_bytes()
FILES: Final = (
    Target(
        "settings",
        [_SETTINGS_SEED, _SETTINGS_SEED + b"\n@KALSHI_DAEMON_GUARDS__DAILY_LOSS_DOLLARS=25"],
        _bend_settings,
        _read_settings,
        _judge_settings,
        (ConfigurationError,),
        4,
    ),
    Target(
        "constants",
        [constants_file.SHIPPED_PATH.read_bytes()],
        bend_json,
        _read_constants,
        _judge_constants,
        (ConfigurationError,),
        2,
    ),
    Target(
        "memory",
        [orjson.dumps(memory.remember(_model()), option=orjson.OPT_SERIALIZE_NUMPY)],
        bend_json,
        _read_memory,
        _judge_memory,
        (ValueError, KeyError),
        2,
    ),
    Target("journal", [b"{}"], _bend_journal, _read_journal, _judge_journal, (StateCorrupt,), 2),
)
