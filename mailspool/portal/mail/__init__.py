"""The user site's pages about mail: what became of it, one message, and the quarantine.

Whose a message is, is said by spool.ownership; every page asks it, for its rows and for the one that a link names.
"""
