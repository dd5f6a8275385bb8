"""Importing the live daemon loads no module of the simulator, not even indirectly."""

import subprocess
import sys


def test_the_daemon_is_imported_without_the_simulator():
    code = (
        "import sys, kalshi_daemon.app.daemon, kalshi_daemon.cli.run\n"
        "print(sorted(name for name in sys.modules if name.startswith('kalshi_daemon.simulator')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"
