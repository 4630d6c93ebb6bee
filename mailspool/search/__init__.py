"""One search over all that the console has: accounts, messages, pages, settings, and what can be done to them.

Nothing here looks through a table: every question is answered by an index, or by what a page says of itself.
"""
