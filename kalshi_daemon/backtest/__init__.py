"""The daemon's own core against the simulated venue, in one process and in virtual time."""
