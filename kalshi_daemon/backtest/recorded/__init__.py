"""Recorded real books as the venue: what was in them is played back, and our orders are filled by a queue model."""
