"""Quoting policies: from a picture of the moment to a plan, purely. `config.toml` names the one that trades."""
