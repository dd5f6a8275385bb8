"""A folder that may not be read, also when the tests run as root, who may read everything."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65_534


@contextmanager
def sealed(folder: Path) -> Iterator[None]:
    """`folder` is of mode 0 while this lasts, and this process is nobody's if it was root's."""
    opened = [one for one in folder.parents if one.owner() == folder.owner() and one.stat().st_mode & 0o055 != 0o055]
    modes = {one: one.stat().st_mode for one in (*opened, folder)}
    for one in opened:
        one.chmod(modes[one] | 0o055)
    folder.chmod(0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)
        for one, mode in modes.items():
            one.chmod(mode)
