"""Importing the live daemon loads no module of the simulator and no plotting library, not even indirectly."""

import subprocess
import sys


def test_the_daemon_is_imported_without_the_simulator_and_without_the_plotting_library():
    code = (
        "import sys, kalshi_daemon.app.daemon, kalshi_daemon.cli.run\n"
        "unwanted = ('kalshi_daemon.simulator', 'matplotlib')\n"
        "print(sorted(name for name in sys.modules if name.startswith(unwanted)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"
