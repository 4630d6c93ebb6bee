"""What machines, kinds of programs, and what programs say of themselves are called. Needs no Django that is set up."""

from __future__ import annotations

from typing import Final

from base.machine import name as machine

LISTENERS, WORKERS, MAINTENANCE, SCHEDULER, CONSOLE = KINDS = (
    "listeners",
    "workers",
    "maintenance",
    "scheduler",
    "console",
)
# What programs show of themselves, in numbers and names. Moments are UNIX seconds.
CONNECTIONS: Final = "open_connections"
ADDRESSES: Final = "addresses"
LEASES: Final = "leases"
TAKEN: Final = "taken_a_minute"
DELIVERED: Final = "delivered_a_minute"
LOAD: Final = "load"
FREE_MB: Final = "free_mb"
HOME: Final = "home"  # which home it works on: machines that share one say the same
DRAIN: Final = "drain"  # while its machine drains: since when, which tells one drain from the next
FILES: Final = "files"  # while it drains: message files in its home, MOST_FILES at most
ACTS: Final = "acts"  # 1: of the schedulers it is the one that acts
RQ_NAME: Final = "rq_name"
# There is a job only while a worker is at one.
JOB: Final = "job"  # its id
JOB_CALL: Final = "job_call"  # RQ's description of it: the function and its arguments
JOB_SINCE: Final = "job_since"

COUNTS: Final = "mailspool:counts:"  # and the machine: a hash in Redis of what was counted there

__all__ = ["machine"]
