from datetime import date

import pytest

from kalshi_daemon.windows.sessions import SessionTable, load_sessions


@pytest.fixture(scope="session")
def sessions() -> SessionTable:
    """Two years on both sides of late 2026: five clock changes each way, nine half days."""
    return load_sessions(date(2024, 11, 1), date(2028, 11, 30))
