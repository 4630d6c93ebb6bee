"""Reports that others send us about our domains: whose TLS with our hosts failed, and who sends in our names.

Anybody can write one: each reader has bounds of size, depth and number, and what it brings is only shown.

packed    what is in an attachment, unpacked within bounds
tls_rpt   reports on TLS (RFC 8460); pure
dmarc     aggregate reports on mail in a domain's name (RFC 9990, RFC 7489); pure
reading   takes what has come in, finds whose signature it has, and stores what it says
stored    what was stored, summed up for pages and commands
watch     the alert about TLS that failed
"""
