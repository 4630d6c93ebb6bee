"""Delivery on this server: Maildirs, forwards, mailing lists."""
