"""The index feed: a codec without IO, one task that holds the session, and a recorder that keeps what arrived."""
