"""The page of the machines that share this database: what each is at, and draining one.

What they are at is put together by `spool.monitoring.machines`; what is done to them are actions like any other
(spool.actions.machines).
"""
