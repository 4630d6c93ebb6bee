"""Limits by the hour: who may send how much, what happens to the rest, and who is over a limit now.

The limits themselves are fields of users, lists and domains (accounts). Here they are counted, enforced by an SMTP
check and a stage of the spool, and shown. What counts, and where, is in subjects.py.
"""
