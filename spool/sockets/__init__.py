"""Listening sockets: which addresses the environment names, opening them, taking over those that somebody holds for us.

Not for what is said on them: that is spool.smtpd and the console. It knows nobody, so that settings may ask it.
"""
