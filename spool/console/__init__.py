"""The spool's pages: lists, one message, actions, backlog, trace and audit.

Views that read rows and files and call spool.actions; they decide nothing themselves. Each is reached through
`admin.site.admin_view` and `for_administrators`, so that only system administrators see it.
"""
