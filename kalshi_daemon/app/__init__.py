"""The daemon: parts made and joined, one run from start to the end of its shutdown sequence."""
