"""Delivery to other hosts by SMTP and LMTP: destinations, connections, transactions, TLS."""
