"""Domains, users with their hashes, aliases and lists as a file: from other servers, to other servers, and back.

A file is rows of six kinds, as CSV or JSON, each read by itself; nothing here knows pages or commands.
"""
