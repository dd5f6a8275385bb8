"""Several constants files, one after the other: what a user who refits now and then would have traded on."""

from collections.abc import Sequence
from datetime import date, timedelta

from kalshi_daemon.calibration.constants import ModelConstants
from kalshi_daemon.ground.errors import ConfigurationError


def stretches(
    constants: ModelConstants | Sequence[ModelConstants], first: date, last: date
) -> tuple[tuple[ModelConstants, date, date], ...]:
    """Which constants speak from which day to which: each from the day after its last one on, until the next one does.

    One alone speaks for the whole span, whenever it was fitted. Raises ConfigurationError when several leave days out.
    """
    if isinstance(constants, ModelConstants):
        return ((constants, first, last),)
    ordered = sorted(constants, key=lambda one: one.fitted_until)
    if len(ordered) == 1:
        return ((ordered[0], first, last),)
    begins = [date.fromisoformat(one.fitted_until) + timedelta(days=1) for one in ordered]
    if not begins or begins[0] > first or len(set(begins)) < len(begins):
        raise ConfigurationError(
            "--constants", f"several files must have ended on different days before {first}", "give an earlier one too"
        )
    ends = [*(begin - timedelta(days=1) for begin in begins[1:]), date.max]
    found = zip(ordered, begins, ends, strict=True)
    return tuple(
        (one, max(first, begin), min(last, end)) for one, begin, end in found if begin <= last and end >= first
    )
