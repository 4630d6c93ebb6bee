"""The DNS of our domains and of this host: which records mail needs, which there are, and what is wrong with them.

records   what a record is, and how good what was found is; pure
verdicts  what the records of each purpose say; pure but for SPF, which has questions of its own
host      this server, as others see it
wishes    the records that a domain, or the host, is to have
looking   asks the name servers, and keeps what they said
shown     what was found, ready for page and command; DKIM keys among it
publishing puts records there by a name server that takes updates (RFC 2136), if somebody asks for it
policy    our own MTA-STS policy, served by the web process
watch     the alert about records that were right and are not
"""
