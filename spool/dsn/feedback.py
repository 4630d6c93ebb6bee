"""Reading abuse reports (ARF, RFC 5965): who complained about which message of ours.

Any bytes may come in: nothing here raises, and time and depth are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spool.dsn.failure import found_address
from spool.dsn.fields import one_line
from spool.dsn.mime import Fields, header_of, parts_of

LARGEST_PARSED_BYTES: Final = 256 * 1024
_TYPE: Final = "message/feedback-report"
# What speaks against sending; "not-spam" is the reverse, and the others are about the message (RFC 5965 7.3).
_COMPLAINTS: Final = ("abuse", "fraud", "other", "opt-out", "opt-out-list")


@dataclass(frozen=True, slots=True)
class Complaint:
    """`recipient` is whom the message was for, "" where the report does not say so; `message_id` is the message's."""

    recipient: str
    message_id: str
    kind: str
    reporter: str


def recognise(content: bytes) -> Complaint | None:
    """The complaint that a message is; None for all other mail."""
    content = content[:LARGEST_PARSED_BYTES]
    header = header_of(content)
    if header.parameter("content-type", "report-type").lower() != "feedback-report":
        return None
    report: Fields | None = None
    for part in parts_of(content):
        if part.content_type == _TYPE and report is None:
            report = Fields(part.text)
        elif part.is_message and report is not None:
            kind = report["feedback-type"].strip().lower()
            if kind not in _COMPLAINTS:
                return None
            message_id = header_of(part.body)["message-id"].split()
            return Complaint(
                found_address(report["original-rcpt-to"]),
                one_line(message_id[0], 255) if message_id else "",
                kind,
                one_line(report["user-agent"] or report["reporting-mta"], 200),
            )
    return None
