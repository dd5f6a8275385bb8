"""A commit of before, installed beside the tree: what a claim about speed is measured against, in the same run."""

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
COMMIT: Final = "5bcc1e0"
"""The last commit before the structure of today: every ratio to "before" is to this one."""


class NoCommitError(Exception):
    """The history at hand does not reach back to the commit (a shallow clone, an unpacked archive)."""


def installed(folder: Path, commit: str = COMMIT) -> Path:
    """Unpack `commit` into `folder`, install it, and return its root. About a minute, and 700 MB of disk.

    Raises NoCommitError when the history lacks the commit, CalledProcessError when it cannot be installed.
    """
    look_up = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    if subprocess.run(look_up, cwd=ROOT, capture_output=True, check=False).returncode:
        raise NoCommitError(f"this clone does not hold {commit}: git fetch --unshallow")
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    sys.stderr.write(f"installing {commit} beside the tree ...\n")
    subprocess.run(["sh", "scripts/setup", "run"], cwd=folder, check=True, stdout=sys.stderr)
    return folder
