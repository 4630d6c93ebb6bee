"""The Overview: the console's first page, where a flood is seen in seconds and stopped in a few clicks.

It shows what spool.traffic has counted; its menus call the actions of all apps below it. It decides nothing itself.
"""
