"""The digest of a trading day: readers of what the daemon wrote, pure sums over it, and its three forms."""
