import os

import pytest
import structlog


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory: no config.toml of the repository, no variables of the developer."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("KALSHI_DAEMON_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    yield tmp_path
    structlog.reset_defaults()
