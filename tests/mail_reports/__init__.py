"""Tests of what others report of our domains."""
