"""Reports to other domains on how TLS with their hosts went (TLS-RPT, RFC 8460), where they ask for them.

spool.delivery.remote.tls_sessions counts; once a day is over, its report goes out at a random hour.

addresses   who wants one, as the domain's DNS says
document    the report itself, as JSON; pure
message     the mail that it goes in
sending     which are due, who gets them, and what became of that
"""
