"""What this machine is called, and whether messages and log lines say so. Needs no Django that is set up."""

from __future__ import annotations

import socket

from django.conf import settings


def name() -> str:
    """This machine's name: MAILSPOOL_MACHINE where several containers are one machine."""
    given = str(settings.MAILSPOOL_MACHINE or socket.gethostname())
    return given.replace(":", "-").replace("|", "-").replace(" ", "-")[:100]


def noted() -> str:
    """The name as it is noted beside what this machine did; "" where there is but one machine, as far as is known."""
    return name() if settings.MAILSPOOL_MACHINE or settings.MAILSPOOL_STORE == "database" else ""
