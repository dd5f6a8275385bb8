"""Scoring the model on real bars: what a trader reads before betting. Nothing that runs live imports this room."""
