"""Resend, Delete and Move for quarantined messages, done by the machinery of spool.actions."""
