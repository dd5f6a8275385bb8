"""A dict that counts its changes, so that what was worked out from it need not be worked out again."""

from collections.abc import Iterable, Mapping
from typing import Any, Never


class VersionedDict[K, V](dict[K, V]):
    """`version` rises with every change of a key or value; what happens inside a value is not seen.

    Changed by item assignment, `del`, `pop`, `update` and `clear`; other ways raise TypeError rather than pass
    unnoticed.
    """

    __slots__ = ("version",)

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        super().__init__(items)
        self.version = 0

    def __setitem__(self, key: K, value: V) -> None:
        self.version += 1
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        self.version += 1

    def pop(self, key: K, *default: Any) -> Any:  # noqa: ANN401 - as dict's
        """As dict's."""
        self.version += 1
        return super().pop(key, *default)

    def clear(self) -> None:
        """As dict's."""
        self.version += 1
        super().clear()

    def update(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = (), /) -> None:  # type: ignore[override]
        """As dict's, without keywords."""
        self.version += 1
        super().update(items)

    def setdefault(self, *_: object) -> Never:
        """Refused: nobody needs it here."""
        raise TypeError("a versioned dict is changed by assignment")

    def popitem(self) -> Never:
        """Refused: nobody needs it here."""
        raise TypeError("a versioned dict is changed by assignment")

    def __ior__(self, _other: object) -> Never:  # type: ignore[misc]
        raise TypeError("a versioned dict is changed by assignment")
