"""The embedded simulator lists what the daemon's own table has."""

from kalshi_daemon.app.simulated.attach import simulator_environment
from kalshi_daemon.settings.instruments import InstrumentsSettings
from kalshi_daemon.settings.loader import load_instruments
from tests.support.instruments import rows_of_three


def test_the_simulator_is_told_the_rows_of_the_daemon():
    told = simulator_environment(rows_of_three("large_caps"), {"PATH": "/bin"})
    assert told["PATH"] == "/bin"
    assert load_instruments(None, told) == rows_of_three("large_caps")
    assert load_instruments(None, simulator_environment(InstrumentsSettings(), {})) == InstrumentsSettings()
