"""The pages of destinations: what waits for which receiver, how fast it goes, what limits it, and why.

They read what others have counted, learned and written down, and decide nothing: what is done to a destination is an
action like any other (spool.actions.destinations).
"""
