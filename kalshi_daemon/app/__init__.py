"""The daemon: parts made and joined, one run from start to the way down."""
