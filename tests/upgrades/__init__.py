"""Upgrades: dumps of both databases as releases left them, and what becomes of their mail, settings and history.

`dumps/NAME/` holds one of each database, the home that belongs to both, and `mail.json`, which says what has to become
of which message. `python -m tests.upgrades.make_dump NAME` makes such a folder with the code of its checkout.
"""
