"""The simulated venue: order books, accounts, REST and websocket sides, levers."""
