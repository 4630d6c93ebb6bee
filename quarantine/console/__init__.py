"""The pages of both quarantines: lists, one message, actions. For system administrators, in the spool's own frame.

Views that read rows and files and call spool.actions; they decide nothing themselves. What is in the Virus Quarantine
is shown as text alone.
"""
