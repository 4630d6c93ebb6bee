"""Rows as they are written and read in batches, past the models: the statements of the hot path and what they take."""
