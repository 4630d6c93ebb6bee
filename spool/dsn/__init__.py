"""Delivery status notifications: what they say, when they are owed, and how to read those that others send.

Pure: values and bytes go in and come out; sending and storing belong to spool.flow.outcomes and to delivery.
RFC 3461 (parameters), 3464 and 6522 (the report), 6533 (addresses beyond ASCII), 3834 (automatic answers).
"""
