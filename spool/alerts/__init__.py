"""Alerts: rules on the counts and on the spool, that tell people by mail and programs by a signed webhook.

`watching` decides when one begins and ends, with hysteresis; `telling` sends what it has to say, as often as it takes;
`webhook` talks to other servers without being led to our own. All of it runs in a thread of the scheduler.
"""
