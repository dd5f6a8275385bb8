"""The rolling model: from index ticks to the distribution of the index at a fixing, in constant time per tick."""
