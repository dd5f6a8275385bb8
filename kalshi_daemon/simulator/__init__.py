"""A faithful Kalshi exchange and index feed on real sockets. Live code never imports this room."""
