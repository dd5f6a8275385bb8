"""Our orders: what we asked for, what the exchange says became of it, and what it did to our money."""
