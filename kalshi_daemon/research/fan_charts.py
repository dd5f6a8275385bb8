"""The fan charts of both reports: a session's path over the bands its fixings were given."""

from collections.abc import Sequence
from itertools import pairwise
from math import nan
from typing import Final

from kalshi_daemon.research.chart import Axis, Chart, Colour, padded
from kalshi_daemon.research.fan_days import Fan, FanDay, Place, RecordedDay
from kalshi_daemon.research.picture import HOURS, SESSION_MIN, WIDE, Picture

_HEIGHT: Final = 440.0
_OPEN_MARK: Final = (0.0, "09:30")
_BANDS: Final = (("99 %", 0.10, 0.10), ("90 %", 0.18, 0.26), ("50 %", 0.30, 0.48))
"""(word, opacity, that of all bands seen through it) from the outermost pair of levels inwards."""
_LONE_MIN: Final = 1.5
"""Width given to a fan of a single instant."""
_GAP_MIN_MAX: Final = 60.0
"""The path is not drawn over a longer stretch of which the record says nothing."""


def fan_picture(fan: FanDay) -> Picture:
    """Of a session of bars."""
    chart = _frame(f"Fans of {fan.day}: what each hour was given", fan.path, fan.fans)
    _bands(chart, fan.fans)
    for number, one in enumerate(fan.fans):
        medians = [(minute, levels[len(levels) // 2]) for minute, levels in one.steps]
        chart.line(medians, Colour.GREY, "" if number else "median", dashed=True)
    chart.line(fan.path, Colour.BLUE, "the index")
    chart.dots([one.fixing for one in fan.fans if one.fixing is not None], Colour.ORANGE, "fixing")
    return Picture(
        chart,
        "Each fan was made at its left end with nothing later known. One fixing in ten lies outside the 90 % band, one "
        "in a hundred outside the 99 % band.",
    )


def recorded_pictures(day: RecordedDay) -> tuple[Picture, ...]:
    """Of a session of the live record: full hours, and the close from hours before. None of a day without forecasts."""
    if not day.path:
        return ()
    shown = [(f"Full hours of {day.day}: the bands each fixing was given as it came nearer", day.hours)]
    if day.close is not None:
        shown.append((f"Close of {day.day}: the bands it was given as it came nearer", (day.close,)))
    return tuple(_recorded(title, day, fans) for title, fans in shown)


def what_is_missing(day: RecordedDay) -> str:
    """What the record of a day lacks for its chart, in sentences; empty when it lacks nothing."""
    if not day.forecasts:
        return f"No forecast of {day.day} has come due in this record: there is nothing to draw of that day."
    found = []
    if day.without_bands == day.forecasts:
        found.append("The lines of this day were written before bands were kept: the path alone can be drawn.")
    elif day.without_bands:
        found.append(
            f"{day.without_bands} of {day.forecasts} forecasts were written before bands were kept and have none."
        )
    if day.again:
        found.append(f"{day.again} of {day.forecasts} were made again from minutes that came later.")
    return " ".join(found)


def _recorded(title: str, day: RecordedDay, fans: Sequence[Fan]) -> Picture:
    chart = _frame(title, day.path, fans)
    _bands(chart, fans)
    for number, (minute, levels) in enumerate(step for one in fans for step in one.steps):
        chart.line([(minute, levels[0]), (minute, levels[-1])], Colour.BLUE, "" if number else "forecast", faint=True)
    fixings = [(one.start_min, one.fixing) for one in fans if one.fixing is not None]
    for number, (start, (minute, level)) in enumerate(fixings):
        chart.line([(start, level), (minute, level)], Colour.ORANGE, "" if number else "where it fixed", dashed=True)
    chart.line(_broken(day.path), Colour.BLUE, "the index, by the record")
    chart.dots(day.path, Colour.BLUE)
    chart.dots([place for _, place in fixings], Colour.ORANGE)
    usual = (
        "At an upright line the bands are the forecast made then; between two they are joined. The dashed line, where "
        "it fixed, should cross nine upright lines in ten within the 90 % band."
    )
    return Picture(chart, " ".join(part for part in (usual if fans else "", what_is_missing(day)) if part))


def _frame(title: str, path: Sequence[Place], fans: Sequence[Fan]) -> Chart:
    levels = [level for _, level in path] + [level for one in fans for _, levels in one.steps for level in levels]
    ends = [minute for minute, _ in path] + [one.fixing[0] for one in fans if one.fixing is not None]
    # The first hour at least: a record that has just begun shows where it stands in the day.
    end = min(SESSION_MIN, max([60.0, *ends]))
    x = Axis(0.0, end, "time, New York (ET)", ticks=(_OPEN_MARK, *HOURS))
    return Chart(title, x, Axis(*padded(levels, 0.04), "index level, points"), WIDE, _HEIGHT)


def _bands(chart: Chart, fans: Sequence[Fan]) -> None:
    for depth, (word, opacity, seen) in enumerate(_BANDS):
        for number, one in enumerate(fans):
            edges = [(minute, levels[depth], levels[-1 - depth]) for minute, levels in one.steps]
            if len(edges) == 1:
                edges = [(edges[0][0] - _LONE_MIN, *edges[0][1:]), *edges, (edges[0][0] + _LONE_MIN, *edges[0][1:])]
            chart.band(edges, Colour.BLUE, opacity, "" if number else word, seen)


def _broken(path: Sequence[Place]) -> list[Place]:
    found = list(path[:1])
    for (before, _), place in pairwise(path):
        if place[0] - before > _GAP_MIN_MAX:
            found.append((before, nan))
        found.append(place)
    return found
