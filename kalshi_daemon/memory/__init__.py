"""What the models have learnt, kept: documents, files, gaps replayed and filled, the record of forecasts."""
