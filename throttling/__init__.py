"""Sending limits of users, lists and domains. Plugs into spool/ by SPOOL_SMTP_CHECKS and SPOOL_STAGES."""
