"""Scanning and the two quarantines."""
