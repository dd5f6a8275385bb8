"""Minute bars on disk: read in every shape known, written per session, brought up to date from the vendor."""
