"""Domains, users, aliases and mailing lists: who is local, and who may do what.

Knows nobody: it never imports another app of the project.
"""
