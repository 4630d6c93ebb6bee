"""Mail to many receivers, of which some are dead, slow, strict or hostile: what that does to the mail of others.

`hosts` is a program that plays receivers, each at addresses of loopback of its own; `network` starts it and knows their
names. Each scenario is a module that answers with figures (`figures`), of which some have a bar. `__main__` runs them.
"""
