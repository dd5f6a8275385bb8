"""What every section of the settings stands on: frozen, unknown keys refused, nothing taken for what it is not."""

import re
from datetime import date, time
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

_TIME_OR_DATE: Final = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?|[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _is_empty_path(annotation: object, value: object) -> bool:
    """Whether a path was given as nothing, which Python takes for the working directory."""
    if annotation == tuple[Path, ...] and isinstance(value, list | tuple):
        return any(isinstance(one, str) and not one.strip() for one in value)
    return annotation in {Path, Path | None} and isinstance(value, str) and not value.strip()


class Section(BaseModel):
    """Base of every section."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_own_kind(cls, value: object, info: ValidationInfo) -> object:
        """Nothing is taken for what it is not: text or a boolean for a number, a number for a time or a switch."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        found = type(value)
        if annotation is int and found is not int:
            raise PydanticCustomError("int_type", "Input should be a valid integer, digits alone")
        if annotation is float and found not in {int, float}:
            raise PydanticCustomError("float_type", "Input should be a valid number, digits with at most one point")
        if annotation is bool and found in {int, float}:
            raise PydanticCustomError("bool_type", "Input should be a valid boolean, true or false")
        if _is_empty_path(annotation, value):
            raise PydanticCustomError("empty_path", "Input should be a path, not empty: leave the key out instead")
        if annotation in {time, date, date | None} and (
            found in {bool, int, float} or (isinstance(value, str) and not _TIME_OR_DATE.fullmatch(value))
        ):
            raise PydanticCustomError("time_type", "Input should be in a valid time format, HH:MM[:SS] or YYYY-MM-DD")
        return value
