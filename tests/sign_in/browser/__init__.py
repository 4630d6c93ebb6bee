"""Signing in with a browser."""
