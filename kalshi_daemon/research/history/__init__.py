"""The exchange's past on disk: settled markets, public trades and candles, as files that are there whole or not."""
