"""The errors inside nested task groups."""

from kalshi_daemon.ground.errors import leaves_of


def test_leaves_come_in_the_order_they_stand_in():
    one, two, three = ValueError("1"), OSError("2"), KeyError("3")
    assert leaves_of(ExceptionGroup("a", [ExceptionGroup("b", [one, two]), three])) == (one, two, three)
