"""Parts of the model as plain numbers and back, by example: what JSON can carry, bit for bit. Pure.

A part is a dataclass of floats, ints, bools, tuples of floats and arrays. A field that is not given to its constructor
is a cache and is left out. What is read back must have the shape of the example it is read for; numbers must be finite,
but where the example itself has holes (NaN), a hole, written as None, may stand.
"""

from collections.abc import Collection, Mapping
from dataclasses import Field, fields, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Floats = NDArray[np.float64]

WHOLE_MAX: Final = 2**63 - 1


class MisfitError(ValueError):
    """What was read is not a part of the model."""


def with_baseline(value: Any) -> Any:  # noqa: ANN401 - any plain value
    """A plain value of an earlier version, in which the baseline's score was called `rival_crps`."""
    if isinstance(value, dict):
        return {"baseline_crps" if key == "rival_crps" else key: with_baseline(one) for key, one in value.items()}
    return [with_baseline(one) for one in value] if isinstance(value, list) else value


def to_plain(part: "DataclassInstance", leave_out: Collection[str] = ()) -> dict[str, Any]:
    """Field -> number, bool or (nested) list of numbers and None."""
    return {field.name: _plain(getattr(part, field.name)) for field in _kept(part, leave_out)}


def from_plain[Part: "DataclassInstance"](like: Part, document: object, leave_out: Collection[str] = ()) -> Part:
    """`like` with the fields of the document. Raises MisfitError naming the field that does not fit."""
    kept = {field.name for field in _kept(like, leave_out)}
    found = mapping(document, type(like).__name__)
    if set(found) != kept:
        raise MisfitError(f"{type(like).__name__} holds other fields: {', '.join(sorted(set(found) ^ kept))}")
    values = {name: _like(getattr(like, name), found[name], f"{type(like).__name__}.{name}") for name in kept}
    return replace(like, **values)


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """A JSON object. Raises MisfitError."""
    if not isinstance(value, dict):
        raise MisfitError(f"{where} is no object: {_shown(value)}")
    return value


def number(value: object, where: str) -> float:
    """A finite number. Raises MisfitError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise MisfitError(f"{where} is no finite number: {_shown(value)}")
    return float(value)


def whole(value: object, where: str) -> int:
    """An integer of 64 bits. Raises MisfitError."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > WHOLE_MAX:
        raise MisfitError(f"{where} is no integer: {_shown(value)}")
    return value


def _kept(part: "DataclassInstance", leave_out: Collection[str]) -> list[Field[Any]]:
    return [field for field in fields(part) if field.init and field.name not in leave_out]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of a part
    if isinstance(value, np.ndarray):
        return _holes(value.tolist()) if bool(np.isnan(value).any()) else value.tolist()
    if isinstance(value, tuple):
        return list(value)
    return value


def _holes(values: list[Any]) -> list[Any]:
    return [_holes(one) if isinstance(one, list) else None if one != one else one for one in values]  # noqa: PLR0124 - NaN


def _like(example: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - any field of a part
    if isinstance(example, np.ndarray):
        return _array(example, value, where)
    if isinstance(example, tuple):
        if not isinstance(value, list) or len(value) != len(example):
            raise MisfitError(f"{where} is not a list of {len(example)}: {_shown(value)}")
        return tuple(number(one, where) for one in value)
    if isinstance(example, bool):
        if not isinstance(value, bool):
            raise MisfitError(f"{where} is neither true nor false: {_shown(value)}")
        return value
    return whole(value, where) if isinstance(example, int) else number(value, where)


def _array(example: Floats, value: object, where: str) -> Floats:
    may_have_holes = bool(np.isnan(example).any())
    if not _made_of_numbers(value):
        raise MisfitError(f"{where} is not made of numbers: {_shown(value)}")
    try:
        found: Floats = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise MisfitError(f"{where} is no array of numbers: {_shown(value)}") from None
    if found.shape != example.shape:
        raise MisfitError(f"{where} has shape {found.shape}, not {example.shape}")
    if bool(np.isinf(found).any()) or (not may_have_holes and bool(np.isnan(found).any())):
        raise MisfitError(f"{where} is not made of finite numbers")
    return found


def _made_of_numbers(value: object) -> bool:
    if isinstance(value, list):
        return all(_made_of_numbers(one) for one in value)
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _shown(value: object) -> str:
    return repr(value)[:60]
