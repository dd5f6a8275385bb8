"""Sweeps: sessions x seeds x regimes x settings, on one machine or a cluster, and what they say."""
