"""What the audit says of what is done to an installation as a whole, and about incidents."""

from __future__ import annotations

from collections.abc import Callable

from base.audit import sentences
from base.audit.sentences import Event


def _restored(event: Event) -> str:
    held = ", all put on hold" if event.parameters["hold"] else ""
    return f"Restored: {event.parameters['messages']:,} messages in the spool{held}"


def _of_jobs(past: str) -> Callable[[Event], str]:
    def said(event: Event) -> str:
        jobs, gone = event.parameters["jobs"], event.parameters["gone"]
        many = f"{jobs['count']:,} job{'' if jobs['count'] == 1 else 's'} {past}"
        return f"{many}, {gone:,} had lapsed" if gone else many

    return said


def _checked(event: Event) -> str:
    bad = event.parameters["bad"]
    return f"{bad} missing or wrong" if bad else "Nothing is missing or wrong"


def _published(event: Event) -> str:
    put = "; ".join(f"{name} “{value}”" for name, value in event.parameters["put"].items())
    gone = "; ".join(event.parameters["gone"])
    instead = f", in the place of {gone}" if gone else ""
    return f"Put into the DNS by {event.parameters['server']}: {put}{instead}"


sentences.of_actions(
    {
        "job-retry": _of_jobs("queued again"),
        "job-forget": _of_jobs("forgotten"),
        "restore": _restored,
        "mark folders": lambda _: "Accepted as this installation's",
        "send test message": lambda _: "Sent",
        "end first run": lambda _: "Dismissed",
        "dns-check": _checked,
        "dns-publish": _published,
        "stop": lambda _: "Stopped",
        "false-alarm": lambda _: "Taken back",
    }
)
