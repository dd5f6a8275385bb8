"""The last lines of the log, kept for who looks."""

from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.operations.recent_events import KEPT_MAX, TEXT_MAX, RecentEvents

AT = Nanos(1_795_451_400 * SECOND)


class Mute:
    def __str__(self):
        raise ZeroDivisionError


def test_a_line_is_its_name_level_and_numbers():
    events = RecentEvents(lambda: AT)
    fields = {"event": "book.lost", "level": "warning", "market": "A", "gap": 3, "share": 0.123456789, "note": ""}
    events.hear("book.lost", fields | {"nothing": None, "exc_info": True})
    assert events.rows() == [
        {
            "at": "2026-11-23T16:30:00.000000Z",
            "level": "warning",
            "event": "book.lost",
            "text": "market A, gap 3, share 0.123457",
        }
    ]


def test_few_are_kept_and_each_is_short():
    events = RecentEvents(lambda: AT)
    for number in range(KEPT_MAX + 5):
        events.hear(f"e.{number}", {f"f{field}": "y" * 10_000 for field in range(50)})
    rows = events.rows()
    assert [row["event"] for row in (rows[0], rows[-1])] == ["e.5", f"e.{KEPT_MAX + 4}"]
    assert max(len(row["text"]) for row in rows) == TEXT_MAX


def test_a_value_whose_own_words_raise_costs_its_line_alone():
    events = RecentEvents(lambda: AT)
    events.hear("bad.seen", {"value": Mute()})
    assert events.rows()[0]["text"] == "not shown: ZeroDivisionError"
