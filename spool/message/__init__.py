"""What the bytes of a message say: its header, the words in it, its parts and their text (RFC 5322, 2045, 2047, 2231).

Read once here for all doors and pages. Nothing in here raises for what a sender wrote, and all of it is bounded in time
and memory. Not for addresses (accounts.addresses) nor for the reports in bounces (spool.dsn). Looks at nothing else.

`envelope` has the plain values in which a message goes from room to room; it looks at spool.models.
"""
