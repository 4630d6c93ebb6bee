"""Blacklist, whitelist, SMTP blocks and login protection. Plugs into spool/ by SPOOL_SMTP_CHECKS."""
