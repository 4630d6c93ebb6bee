"""The way of a message through the spool: from intake by leases, stages and delivery to its outcome."""
