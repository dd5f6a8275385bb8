"""`python -m kalshi_daemon`."""

from kalshi_daemon.cli.main import entry

if __name__ == "__main__":
    entry()
