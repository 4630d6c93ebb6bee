"""The spool: intake, the message store, stages, delivery, bounces and what became of each message.

Imports accounts/ only; scanning, throttling and security plug in by dotted path (SPOOL_SMTP_CHECKS, SPOOL_STAGES).
"""
