"""Who is let in: blacklist, whitelist, SMTP blocks, and what wrong passwords lead to.

Plugs into spool/ by SPOOL_SMTP_CHECKS and SPOOL_TRUSTED_CLIENTS, into the web by middleware. Not for limits on how much
somebody sends (throttling/), nor for what is in a message (quarantine/).
"""
