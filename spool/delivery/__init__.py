"""Delivery: routes, remote hosts, local mailboxes.

The flow hands entries to `deliveries` and reads `answers`; `routes`, `replies` and `remote.mx` are for others too.
How a host is found, spoken to and rested, and how a mailbox is written, is its own (the contracts in pyproject.toml
hold that).
"""
