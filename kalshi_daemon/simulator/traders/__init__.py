"""The simulated crowd: makers, noise takers, takers who know more."""
