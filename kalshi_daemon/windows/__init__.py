"""Windows: the session calendar, the fixings of a day with their edges, macro releases, and the task that times it."""
