"""Recordings of sessions: everything that reached the daemon and everything it did, in one order, in one file."""
