"""What programs' signs of life are called in Redis. Needs no Django that is set up."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Final

from django.conf import settings

# kind → what the keys of its programs begin with; `<machine>:<pid>` follows.
PREFIXES: Final[Mapping[str, str]] = {
    "listeners": "mailspool:smtpd:",
    "workers": "mailspool:worker:mail:",
    "maintenance": "mailspool:worker:maintenance:",
    "scheduler": "mailspool:scheduler:",
    "console": "mailspool:web:",
}
WORKERS: Final = "mailspool:worker:"  # of every kind
READS_ROWS: Final = "reads-rows"  # field of a worker that knows that a message may be without a file
# What else a worker says of itself. Moments are UNIX seconds; there is a job only while it works on one.
BORN: Final = "born"
RQ_NAME: Final = "rq-name"
JOB: Final = "job"  # its id
JOB_CALL: Final = "job-call"  # RQ's description of it: the function and its arguments
JOB_SINCE: Final = "job-since"
COUNTS: Final = "mailspool:counts:"  # and the machine: hash of what was counted there
PROGRAMS: Final = "mailspool:programs"  # hash: `<machine>|<kind>` → its last sign of life (UNIX seconds)


def machine() -> str:
    """This machine's name, as in the keys: MAILSPOOL_MACHINE where several containers are one machine."""
    return str(settings.MAILSPOOL_MACHINE or socket.gethostname()).replace(":", "-").replace("|", "-")
