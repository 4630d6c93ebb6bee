"""Counting mail for limits: windows of an hour on Redis, and the ledger in the database."""
