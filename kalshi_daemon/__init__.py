"""Maker-only trading daemon for Kalshi's S&P 500 and Nasdaq-100 hourly ladders and 16:00 closes."""

__version__ = "0.1.0"
