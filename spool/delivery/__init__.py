"""Delivery: routes, remote hosts, local mailboxes."""
