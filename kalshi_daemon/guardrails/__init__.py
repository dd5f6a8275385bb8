"""The guard chain: pure questions about the state, answered with the numbers compared. See docs/guards.md."""
