"""Elastic time of a simulated session, and sessions on the real clock."""
