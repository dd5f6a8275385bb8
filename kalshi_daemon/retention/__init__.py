"""What becomes of a finished day: packed, kept as long as the settings say, then let go."""
