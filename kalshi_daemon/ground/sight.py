"""Looks at what changes outside the process: files of a person's, room on a disk.

Who looks asks here instead of doing it, so that a recording can hold what was seen and a replay can show it again.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol


class Sight(Protocol):
    """`work` returns what it saw as JSON values, and raises nothing."""

    def look(self, name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON values
        """What there is to see now. name: of what is looked at, always the same."""
        ...

    async def look_in_thread(self, name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON values
        """The same for what may take long."""
        ...


class PlainSight:
    """Looks, and that is all."""

    def look(self, _name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON values
        return work()

    async def look_in_thread(self, _name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON values
        return await asyncio.to_thread(work)


PLAIN_SIGHT: Final[Sight] = PlainSight()
"""For all who are not recorded."""
