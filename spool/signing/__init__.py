"""DKIM (RFC 6376, 8301, 8463): keys of our domains from their making to their end, and the signatures of what leaves.

`ring` says by which keys a message is signed when it is sent; `lifecycle` makes keys, looks for them in the DNS and
rotates them; `publishing` puts their records there where a name server takes updates (`primaries`).
"""
