"""What the venue lists and how its books stand: listing JSON to markets, stream events to books, and the task."""
