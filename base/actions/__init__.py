"""What may be done to something, described once: menus, dialogs, bulk bars and commands are made from that.

One function runs it (`perform`): it asks who acts, does it in a transaction with its record, and says whether there is
a way back. What an action does is said by the rooms above, which register theirs; nothing here knows of mail.
"""
