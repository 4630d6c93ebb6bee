"""The verbs of `manage.py spool`, a module for each group: thin doors to spool.filters and spool.actions.

A group adds its parsers, each with the function that runs it (`run`). Exit status everywhere: 0 done, 1 nothing matched
or it was refused, 2 usage.
"""
