"""The audit: one table of who did what to what, by which door, from where, and what it was before and after.

It keeps codes and parameters; sentences are made when they are shown (`sentences`). Who writes into it calls
`base.action.record`; who reads it, pages and commands alike, asks `search`.
"""
