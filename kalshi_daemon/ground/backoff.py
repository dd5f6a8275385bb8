"""How long to wait before the next try. Pure: the share that is drawn by chance comes from the caller."""

_DOUBLINGS_MAX = 30


def doubled[Wait: (int, float)](first: Wait, failures: int, wait_max: Wait) -> Wait:
    """`first` after no failure, twice as long after each further one, at most `wait_max`; in the unit of the two."""
    wait: Wait = first * 2 ** min(failures, _DOUBLINGS_MAX)
    return min(wait, wait_max)
