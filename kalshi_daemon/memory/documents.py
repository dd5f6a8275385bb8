"""What a model has learnt as a plain document, and a model that goes on from one, bit for bit. Pure.

Everything that shapes a later forecast is in it, today's path and the forecasts that wait for their fixing included.
Left out is what follows from the rest (the session's curve, the agenda, residual distributions) and what only saves
work. So that nothing learnt for one distribution is used with another, a document names the constants it was learnt
with.

On disk a document is two lines: a header with its version and the digest of the second line, which is the document.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from math import inf
from typing import Any, Final

import numpy as np
import orjson

from kalshi_daemon import __version__
from kalshi_daemon.calibration.agenda import agenda_of
from kalshi_daemon.calibration.constants import SESSION_MINUTES, Floats, ModelConstants
from kalshi_daemon.calibration.density import family_of
from kalshi_daemon.calibration.monitor import JumpMonitor
from kalshi_daemon.calibration.path import SessionPath
from kalshi_daemon.calibration.recalibration import BINS, BUCKETS, Correction, PitMap, Recalibration
from kalshi_daemon.calibration.sigma_band import SlowLevel
from kalshi_daemon.calibration.today import Outlook, Taken, Today
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.calibration.variance import WEEK, VarianceState
from kalshi_daemon.calibration.watch import ForecastWatch
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.readers import parse_json
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.memory.plain import MisfitError, from_plain, mapping, number, to_plain, whole, with_baseline

VERSION: Final = 2
RIVAL_VERSION: Final = 1
"""Called the baseline's score `rival_crps`; read, never written."""
"""Of the document. Another one is not read: a cold start costs little, a misread state could cost a lot."""
FORMAT: Final = "kalshi-daemon calibration"
BYTES_MAX: Final = 4_000_000
_CALM: Final = ("calm_until_ns", "calm_low", "calm_high")
"""A band of prices that need no closer look: worked out again at the next price."""
_CURVE_TOLERANCE: Final = 1e-6
_SLOW: Final = "slow"
"""Younger than the version: a document without it begins its slow level from the week's."""
_LAYERS: Final = ("hour_layer", "close_layer")

type Document = dict[str, Any]


def remember(model: RollingCalibration) -> Document:
    """Everything `model` has learnt, as plain values (numbers, strings, lists, dicts)."""
    last_seen_ns = model.last_seen_ns
    return {
        "index": model.index.value,
        "constants": fingerprint(model.constants),
        "last_seen_ns": last_seen_ns,
        "variance": to_plain(model.variance),
        "slow": to_plain(model.slow),
        "ratio": to_plain(model.ratio),
        "long_ratio": to_plain(model.long_ratio),
        "daily": to_plain(model.daily),
        "hour_layer": to_plain(model.hour_layer),
        "close_layer": to_plain(model.close_layer),
        "monitor": to_plain(model.monitor),
        "watch": model.watch.snapshot(),
        "base": model.base.tolist(),
        "closing": None if model.closing is None else list(model.closing),
        "today": None if model.today is None else _today_plain(model, model.today),
    }


def restore(model: RollingCalibration, document: Mapping[str, Any]) -> None:
    """Make `model` the one that was remembered. Raises ValueError and changes nothing when the document is not sound.

    The session under way must still be one of the model's calendar, with the same open and close.
    """
    where = mapping(document, "the document")
    _check_names(where, model)
    variance = from_plain(model.variance, where["variance"])
    slow = _slow(model, variance, where)
    ratio, long_ratio = from_plain(model.ratio, where["ratio"]), from_plain(model.long_ratio, where["long_ratio"])
    daily, monitor = from_plain(model.daily, where["daily"]), from_plain(model.monitor, where["monitor"])
    layers, base = _slow_parts(model, where)
    watch = ForecastWatch.restored(mapping(where["watch"], "watch"))
    if min(variance.num.min(), variance.den.min(), variance.floor, slow.num, slow.den) <= 0.0:
        raise ValueError("variance states must be positive")
    sums = (to_plain(ratio), to_plain(long_ratio), to_plain(daily), to_plain(monitor))
    if min(value for part in sums for value in _numbers(part)) < 0.0:
        raise ValueError("faded sums of squares must not be negative")
    last_seen = where["last_seen_ns"]
    last_seen_ns = None if last_seen is None else Nanos(whole(last_seen, "last_seen_ns"))
    closing = None if where["closing"] is None else _closing(where["closing"])
    before = model.base
    model.base = base  # a new day is made on the present curve
    try:
        today = None if where["today"] is None else _today(model, layers, mapping(where["today"], "today"))
    finally:
        model.base = before
    # Nothing below can fail: the model is the old one or the remembered one, never a mixture.
    model.slow = slow
    model.variance, model.ratio, model.long_ratio, model.daily = variance, ratio, long_ratio, daily
    model.hour_layer, model.close_layer = layers["hour_layer"], layers["close_layer"]
    model.monitor, model.watch, model.base, model.closing = monitor, watch, base, closing
    model.resume(today, last_seen_ns)


def restore_slow_parts(model: RollingCalibration, document: Mapping[str, Any]) -> None:
    """Take over what ages in months, the session curve and the online corrections, and nothing that ages in days.

    For a model that has seen nothing yet. Raises ValueError and changes nothing when the document is not sound.
    """
    where = mapping(document, "the document")
    _check_names(where, model)
    layers, base = _slow_parts(model, where)
    model.hour_layer, model.close_layer, model.base = layers["hour_layer"], layers["close_layer"], base


def curve_and_layer(document: Mapping[str, Any]) -> tuple[Nanos, list[float], Recalibration]:
    """When a file of an index was saved, its session curve, and what full hours have learnt: for who only looks.

    Raises ValueError or KeyError for what is none.
    """
    model = mapping(document["model"], "model")
    curve = [number(value, "base") for value in _items(model["base"], "base", SESSION_MINUTES)]
    return Nanos(whole(document["saved_ns"], "saved_ns")), curve, _layer(Recalibration.fresh(), model["hour_layer"])


def encoded(document: Mapping[str, Any]) -> bytes:
    """The file of a document: header line, document line. Raises TypeError for what is no plain value."""
    body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)  # a number of numpy's is a number
    digest = hashlib.sha256(body).hexdigest()
    header = {"format": FORMAT, "version": VERSION, "daemon_version": __version__, "sha256": digest}
    return orjson.dumps(header) + b"\n" + body + b"\n"


def decoded(content: bytes) -> Document:
    """The document of a file. Raises ValueError: another format or version, damaged, or too long."""
    if len(content) > BYTES_MAX:
        raise ValueError(f"{len(content)} bytes are too many")
    head, _, rest = content.partition(b"\n")
    body = rest.removesuffix(b"\n")
    try:
        header = mapping(parse_json(head, "the header"), "the header")
    except MalformedField as problem:
        raise ValueError(str(problem)) from None
    if header.get("format") != FORMAT:
        raise ValueError(f"not a file of ours: format {str(header.get('format'))[:40]!r}")
    if header.get("version") not in {VERSION, RIVAL_VERSION}:
        raise ValueError(f"version {str(header.get('version'))[:20]} instead of {VERSION}")
    if header.get("sha256") != hashlib.sha256(body).hexdigest():
        raise ValueError("its content is not what was written: the digest differs")
    try:
        found = parse_json(body, "the document")
        if header["version"] == RIVAL_VERSION:
            found = with_baseline(found)
        document: Document = dict(mapping(found, "the document"))
    except MalformedField as problem:
        raise ValueError(str(problem)) from None
    return document


def fingerprint(constants: ModelConstants) -> str:
    """Names the figures a model was learnt with: equal for equal figures, whatever file they came from."""
    figures: list[Any] = [
        list(constants.variance.intercept),
        list(constants.variance.level),
        list(constants.variance.by_log_horizon),
        [list(getattr(constants.residual, field.name)) for field in fields(constants.residual)],
        constants.diurnal.tolist(),
        [list(step) for step in constants.half_day],
    ]
    return hashlib.sha256(orjson.dumps(figures)).hexdigest()[:16]


# Today


def _today_plain(model: RollingCalibration, today: Today) -> Document:
    path = today.path
    return {
        "session": [today.session.open_ns, today.session.close_ns],
        "opening": today.opening,
        "opening_ns": today.opening_ns,
        "path": None if path is None else to_plain(path, _CALM),
        "gap_feature": today.gap_feature,
        "realised": today.realised,
        "realised_mass": today.realised_mass,
        "next_item": today.next_item,
        "waiting": [
            [target, [_taken_plain(model, taken) for taken in waiting]] for target, waiting in today.waiting.items()
        ],
        "jump_limit": None if today.jumps.limit == inf else today.jumps.limit,
        "jump_seen_ns": today.jumps.seen_ns,
    }


def _today(model: RollingCalibration, layers: Mapping[str, Recalibration], found: Mapping[str, Any]) -> Today:
    open_ns, close_ns = (whole(value, "session") for value in _items(found["session"], "session", 2))
    today = model.day_at(Nanos(open_ns))
    if today is None or (today.session.open_ns, today.session.close_ns) != (open_ns, close_ns):
        raise ValueError("the calendar has no such session")
    if found["opening"] is not None:
        today.opening = _price(found["opening"], "opening")
    today.opening_ns = Nanos(whole(found["opening_ns"], "opening_ns"))
    today.gap_feature = number(found["gap_feature"], "gap_feature")
    today.realised, today.realised_mass = (number(found[name], name) for name in ("realised", "realised_mass"))
    limit, seen = found["jump_limit"], found["jump_seen_ns"]
    today.jumps = JumpMonitor(
        inf if limit is None else number(limit, "jump_limit"),
        None if seen is None else Nanos(whole(seen, "jump_seen_ns")),
    )
    if found["path"] is None:
        return today
    today.path = _path(today, found["path"])
    today.agenda = agenda_of(today.session, today.path.first_ns)
    today.next_item = whole(found["next_item"], "next_item")
    if not 0 <= today.next_item <= len(today.agenda):
        raise ValueError(f"next_item {today.next_item} of {len(today.agenda)}")
    for entry in _items(found["waiting"], "waiting"):
        target, taken = _items(entry, "waiting", 2)
        marks = [_taken(model, layers, one) for one in _items(taken, "waiting")]
        today.waiting[Nanos(whole(target, "waiting"))] = marks
    if sum(map(len, today.waiting.values())) > len(today.agenda):
        raise ValueError("more forecasts wait than the day has")
    return today


def _path(today: Today, found: object) -> SessionPath:
    session = today.session
    example = SessionPath.begin(session.open_ns, today.curve.minutes, Nanos(session.open_ns + 1), 1.0)
    path = from_plain(example, found, _CALM)
    prices = (path.first, path.last, path.span_open, path.high, path.low)
    known = path.boundaries[~np.isnan(path.boundaries)]
    if min(prices) <= 0.0 or (len(known) and known.min() <= 0.0):
        raise ValueError("prices of the path must be positive")
    in_order = session.open_ns == path.open_ns <= path.first_ns <= path.last_ns <= session.close_ns
    in_span = path.span_start_ns <= path.last_ns <= path.span_end_ns and path.low <= path.last <= path.high
    if not (in_order and in_span and path.watched_min >= 0.0):
        raise ValueError("the path does not hang together")
    return path


def _taken_plain(model: RollingCalibration, taken: Taken) -> Document:
    return {
        "bucket": taken.bucket,
        "level": taken.level,
        "plain_variance": taken.plain_variance,
        "horizon_min": taken.model.horizon_min,
        "variance": taken.model.variance,
        "layer": _LAYERS[taken.model.layer is model.close_layer],
        "scale_squared": taken.correction.scale_squared,
        "knots": taken.correction.pit_map.knots.tolist(),
        "concentration": taken.correction.concentration,
    }


def _taken(model: RollingCalibration, layers: Mapping[str, Recalibration], value: object) -> Taken:
    found = mapping(value, "waiting")
    bucket, layer = whole(found["bucket"], "bucket"), layers.get(found["layer"])
    if not 0 <= bucket < BUCKETS or layer is None:
        raise ValueError("a waiting forecast belongs to no layer of ours")
    horizon, variance, level, plain, scale, concentration = (
        _price(found[name], name)
        for name in ("horizon_min", "variance", "level", "plain_variance", "scale_squared", "concentration")
    )
    knots = np.array([number(knot, "knots") for knot in _items(found["knots"], "knots", BINS + 1)])
    if knots[0] != 0.0 or knots[-1] != 1.0 or not bool(np.all(np.diff(knots) > 0.0)):
        raise ValueError("a map of probabilities must ascend from 0 to 1")
    outlook = Outlook(horizon, variance, family_of(model.constants.residual).at(horizon), layer)
    return Taken(bucket, level, outlook, Correction(scale, PitMap(knots), concentration), plain)


# Pieces


def _check_names(document: Mapping[str, Any], model: RollingCalibration) -> None:
    if document.get("index") != model.index.value:
        raise ValueError(f"it is about {str(document.get('index'))[:20]}, not {model.index.value}")
    if document.get("constants") != fingerprint(model.constants):
        raise ValueError("it was learnt with other constants")
    if missing := set(remember(model)) - set(document) - {_SLOW}:
        raise ValueError(f"not in it: {', '.join(sorted(missing))}")


def _slow_parts(model: RollingCalibration, where: Mapping[str, Any]) -> tuple[dict[str, Recalibration], Floats]:
    """The online layers and the session curve."""
    layers = {name: _layer(getattr(model, name), where[name]) for name in _LAYERS}
    base = np.array([number(value, "base") for value in _items(where["base"], "base", SESSION_MINUTES)])
    if base.min() <= 0.0 or abs(float(base.mean()) - 1.0) > _CURVE_TOLERANCE:
        raise ValueError("the session curve must be positive with mean 1")
    base.flags.writeable = model.base.flags.writeable
    return layers, base


def _slow(model: RollingCalibration, variance: VarianceState, where: Mapping[str, Any]) -> SlowLevel:
    if _SLOW in where:
        return from_plain(model.slow, where[_SLOW])
    return SlowLevel.of(variance.level_1950(), float(variance.den[WEEK]))


def _layer(like: Recalibration, found: object) -> Recalibration:
    layer = from_plain(like, found)
    if layer.scale_prior.min() <= 0.0 or min(layer.scale_sum.min(), layer.scale_weight.min()) < 0.0:
        raise ValueError("the scale's sums must not be negative")
    if layer.histogram.min() < 0.0:
        raise ValueError("the histogram must not be negative")
    return layer


def _closing(value: object) -> tuple[Nanos, float]:
    at, price = _items(value, "closing", 2)
    return Nanos(whole(at, "closing")), _price(price, "closing")


def _price(value: object, where: str) -> float:
    found = number(value, where)
    if found <= 0.0:
        raise ValueError(f"{where} is not positive: {found}")
    return found


def _items(value: object, where: str, count: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise MisfitError(f"{where} is not a list of {count if count is not None else 'entries'}")
    return value


def _numbers(part: Mapping[str, Any]) -> list[float]:
    return [one for value in part.values() for one in (value if isinstance(value, list) else [value])]
