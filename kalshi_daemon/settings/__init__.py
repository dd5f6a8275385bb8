"""Settings: the frozen model, rules over several of them, environment, files and where each value came from."""
