"""The decision loop: scan, judge, hand to orders, watch what rests."""
