"""The way of a message through the spool: from intake by leases, stages and delivery to its outcome.

Others take mail in by `intake`, ring by `doorbell`, look at `leases` and start `passes`; rounds, lanes, outcomes, late
results and takeover are its own (the contracts in pyproject.toml hold that).
"""
