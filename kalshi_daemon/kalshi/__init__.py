"""Kalshi: codec, signing, rate limits, REST and the websocket. Knows the wire, nothing of trading."""
