"""Quarantined messages: into quarantine, out of it, and what is done there."""
