"""What the audit says of what is done to an installation as a whole, and about incidents."""

from __future__ import annotations

from base.audit import sentences
from base.audit.sentences import Event


def _restored(event: Event) -> str:
    held = ", all put on hold" if event.parameters["hold"] else ""
    return f"Restored: {event.parameters['messages']:,} messages in the spool{held}"


sentences.of_actions(
    {
        "restore": _restored,
        "mark folders": lambda _: "Accepted as this installation's",
        "send test message": lambda _: "Sent",
        "end first run": lambda _: "Dismissed",
        "stop": lambda _: "Stopped",
        "false-alarm": lambda _: "Taken back",
    }
)
