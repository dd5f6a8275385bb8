"""Constants files: JSON written by `kalshi-daemon calibrate`, checked field by field when read.

Nothing is taken for what it is not: a number is a finite JSON number, no text and no boolean; each key stands once; one
that is missing or unknown is refused. What is wrong is said in one line with file, key and fix.

The shipped one lies beside this module and is read once, at import.
"""

from collections.abc import Mapping
from datetime import date
from math import log
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from kalshi_daemon.calibration.constants import (
    FEATURES,
    HORIZON_UNIT_MIN,
    SESSION_MINUTES,
    EventEffect,
    Floats,
    ModelConstants,
    ResidualFigures,
    VarianceCoefficients,
    check_steps,
    quadratic,
)
from kalshi_daemon.ground.errors import ConfigurationError, MalformedField
from kalshi_daemon.ground.named_files import read_named
from kalshi_daemon.ground.readers import parse_json
from kalshi_daemon.settings.validation_words import wanted

FORMAT: Final = 1
KEY: Final = "calibration.constants_file"
"""The setting that names the daemon's own."""
SHIPPED_PATH: Final = Path(__file__).with_name("constants.json")
BYTES_MAX: Final = 1_000_000
_FIX: Final = "written by `kalshi-daemon calibrate`"
_MEAN_TOLERANCE: Final = 1e-3
_MAX: Final = 20.0
"""No coefficient of a sane fit comes near this."""
_FREEDOM_MIN: Final = 0.8
"""ln nu: 2.2 degrees of freedom; at 2 the variance is gone."""
_HORIZONS_MIN: Final = (1.0, 5.0, 15.0, 60.0, 150.0, 390.0)
"""Where that is looked at."""

type Coefficient = Annotated[float, Field(ge=-_MAX, le=_MAX, allow_inf_nan=False)]
type Three = tuple[Coefficient, Coefficient, Coefficient]
type Positive = Annotated[float, Field(gt=0.0, le=1_000.0, allow_inf_nan=False)]
type Minutes = Annotated[float, Field(ge=0.0, le=1_440.0, allow_inf_nan=False)]


type Kind = Annotated[str, Field(min_length=1, max_length=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class _Variance(_Part):
    intercept: Three
    features: dict[str, tuple[Coefficient, Coefficient]]

    @field_validator("features")
    @classmethod
    def _known(cls, found: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        if set(found) != set(FEATURES):
            raise ValueError(f"must hold exactly these features: {', '.join(FEATURES)}")
        return found


class _Residual(_Part):
    location: Three
    log_scale: Three
    log_skew: Three
    log_freedom: Three


class _Effect(_Part):
    steps: tuple[tuple[Minutes, Minutes, Positive], ...] = Field(min_length=1, max_length=100)
    decay_min: Minutes = 0.0


class _Document(_Part):
    format: int = Field(ge=FORMAT, le=FORMAT)  # Literal[1] would take true for it
    name: str = Field(min_length=1, max_length=100)
    fitted_until: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    variance: _Variance
    residual: _Residual
    half_day: tuple[tuple[Minutes, Minutes, Positive], ...] = Field(max_length=100)
    events: dict[Kind, _Effect] = Field(max_length=100)
    diurnal: tuple[Positive, ...] = Field(min_length=SESSION_MINUTES, max_length=SESSION_MINUTES)
    provenance: dict[Kind, object] = Field(max_length=100)

    @field_validator("fitted_until")
    @classmethod
    def _a_day(cls, found: str) -> str:
        date.fromisoformat(found)
        return found

    @field_validator("diurnal")
    @classmethod
    def _mean_one(cls, found: tuple[float, ...]) -> tuple[float, ...]:
        mean = sum(found) / len(found)
        if abs(mean - 1.0) > _MEAN_TOLERANCE:
            raise ValueError(f"its mean is {mean:.4f}, not 1")
        return found


def read_constants(path: Path, key: str = "") -> ModelConstants:
    """The figures of one file. Raises ConfigurationError naming `key`, the setting that named it, file and field."""
    place = f"{key}: {path}" if key else str(path)
    text, _mode = read_named(path, BYTES_MAX, place, "not a constants file")
    try:
        document = _Document.model_validate_json(text)  # first: it names the place of what is wrong
        parse_json(text, path.name)
        return _constants(document)
    except MalformedField as error:
        raise ConfigurationError(place, f"is not {error.wanted}", _FIX) from error
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        where = ".".join(str(part) for part in problems[0]["loc"])
        more = f"; {len(problems) - 1} more" if len(problems) > 1 else ""
        said = _said(problems[0]["type"], problems[0]["msg"]) if where else "is not a table of constants"
        raise ConfigurationError(f"{place}{': ' if where else ''}{where}", f"{said}{more}", _FIX) from error
    except ValueError as error:
        raise ConfigurationError(place, str(error), _FIX) from error


def _said(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not known"
    if kind == "missing":
        return "is missing"
    return message if kind == "value_error" else f"wanted {wanted(kind, message)}"


def read_judged_constants(path: Path, key: str = KEY) -> ModelConstants:
    """As `read_constants`, for trading on: also refused when `calibrate` wrote them without holding days back.

    Raises ConfigurationError.
    """
    found = read_constants(path, key)
    judged = found.provenance.get("held_back")
    forecasts = judged.get("n") if isinstance(judged, dict) else None
    if type(forecasts) is not int or forecasts < 1:
        problem = "fitted without days held back to judge it on"
        raise ConfigurationError(f"{key}: {path}", problem, "calibrate with --hold-out")
    return found


def _constants(document: _Document) -> ModelConstants:
    for horizon in _HORIZONS_MIN:
        if quadratic(document.residual.log_freedom, log(horizon / HORIZON_UNIT_MIN)) < _FREEDOM_MIN:
            raise ValueError(f"residual.log_freedom: no variance at {horizon:g} minutes")
    check_steps(document.half_day)
    features = [document.variance.features[name] for name in FEATURES]
    residual = document.residual
    curve = np.array(document.diurnal)
    return ModelConstants(
        name=document.name,
        fitted_until=document.fitted_until,
        variance=VarianceCoefficients(
            document.variance.intercept,
            tuple(level for level, _ in features),
            tuple(by for _, by in features),
        ),
        residual=ResidualFigures(residual.location, residual.log_scale, residual.log_skew, residual.log_freedom),
        diurnal=_frozen(curve * (SESSION_MINUTES / float(curve.sum()))),
        half_day=document.half_day,
        events={kind: EventEffect(effect.steps, effect.decay_min) for kind, effect in document.events.items()},
        provenance=document.provenance,
    )


def document_of(constants: ModelConstants) -> Mapping[str, object]:
    """The JSON document `read_constants` reads back; figures rounded to what the data can tell."""
    variance, residual = constants.variance, constants.residual
    pairs = zip(FEATURES, variance.level, variance.by_log_horizon, strict=True)
    return {
        "format": FORMAT,
        "name": constants.name,
        "fitted_until": constants.fitted_until,
        "variance": {
            "intercept": _rounded(variance.intercept),
            "features": {name: _rounded((level, by)) for name, level, by in pairs},
        },
        "residual": {
            "location": _rounded(residual.location),
            "log_scale": _rounded(residual.log_scale),
            "log_skew": _rounded(residual.log_skew),
            "log_freedom": _rounded(residual.log_freedom),
        },
        "half_day": [list(step) for step in constants.half_day],
        "events": {
            kind: {"steps": [list(step) for step in effect.steps], "decay_min": effect.decay_min}
            for kind, effect in constants.events.items()
        },
        "diurnal": [round(value, 4) for value in constants.diurnal.tolist()],
        "provenance": dict(constants.provenance),
    }


def _rounded(values: tuple[float, ...]) -> list[float]:
    return [round(value, 5) for value in values]


def _frozen(values: Floats) -> Floats:
    values.flags.writeable = False
    return values


SHIPPED: Final = read_constants(SHIPPED_PATH)
"""What the daemon uses unless it is given another file."""
