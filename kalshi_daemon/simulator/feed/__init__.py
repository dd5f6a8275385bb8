"""The simulated index vendor: paths of the indices, websocket and history."""
