"""RQ's jobs as administrators see them: workers, queues, what runs, what is scheduled, what has failed.

Looking changes nothing. RQ tidies its registries up whenever it counts by itself, and would take a job whose worker was
asleep, or could not reach Redis for a while, out of its hands and call it failed; so nothing here lets it. Calls are
few, each for many jobs. What an action on many messages does is no business of this: `spool.actions.jobs`.
"""
