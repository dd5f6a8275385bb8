"""What the tests of reports share."""

from xml.sax.saxutils import escape

import pytest


@pytest.fixture
def undrawn(monkeypatch):
    """Charts by their titles alone. Drawing takes a tenth of a second each: one test of a report draws a whole page."""
    monkeypatch.setattr(
        "kalshi_daemon.research.drawing.svg_of", lambda chart: f"<svg ><title>{escape(chart.title)}</title></svg>"
    )
