"""What needs attention: the alerts that go on, on every page of the console, each with what is done about it.

Alerts are found by the scheduler (spool.alerts); here they are shown, acknowledged and muted. It looks at
no mail itself.
"""
