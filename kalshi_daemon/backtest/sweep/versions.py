"""What a result depends on beside its job: the code that played it. Compared before anything is played."""

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from kalshi_daemon import __version__
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.folders import files_below

_LIBRARIES: Final = ("numpy", "scipy", "pydantic", "orjson", "dask", "distributed", "cloudpickle", "msgpack")
"""What numbers are made with, and what jobs and results travel by."""
Versions = Mapping[str, str]


@cache
def versions() -> Versions:
    """Of this process."""
    return {
        "python": platform.python_version(),
        "kalshi_daemon": __version__,
        "source": _source_digest(),
        **{name: _version(name) for name in _LIBRARIES},
    }


def check_versions(ours: Versions, workers: Mapping[str, Versions]) -> None:
    """`workers`: address -> what it says. Raises ConfigurationError naming the first that differs, and how."""
    for address, theirs in sorted(workers.items()):
        for name, version in ours.items():
            if theirs.get(name) != version:
                raise ConfigurationError(
                    f"worker {address}",
                    f"has {name} {theirs.get(name, 'missing')}, this client {version}: results would not be comparable",
                    "install the same checkout and requirements/sweep.txt on both",
                )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _source_digest() -> str:
    """Of every file of the package: two checkouts of one version need not be the same."""
    root = Path(__file__).parents[2]
    found = hashlib.sha256()
    for path in (one for one in files_below(root) if one.suffix == ".py"):
        found.update(path.relative_to(root).as_posix().encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
