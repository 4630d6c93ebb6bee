"""Scanning stages and quarantined messages. Plugs into spool/ by SPOOL_STAGES."""
