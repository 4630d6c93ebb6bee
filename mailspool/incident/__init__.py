"""The incident page: all that is known of a user, an address, an IP address or a domain, on one page.

It reads what the other rooms have counted and written down, and decides nothing: what is done is an action like any
other.
"""
