"""SMTP in: listeners, sessions, and the checks that a client meets before its mail becomes an entry.

Not for what happens to mail afterwards: a finished message is handed to spool.flow.intake, and 250 follows its answer.
"""
