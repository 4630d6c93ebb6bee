"""Makers of results and reports, and a reader of composed notices that forgives nothing."""

from __future__ import annotations

import email
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from spool.dsn.notices import Notice, notices_for
from spool.dsn.report import Action, Report, ReportedRecipient
from spool.message.envelope import LeasedEntry, RecipientResult
from spool.models.recipient import Outcome
from tests.support.messages import a_leased_entry

ARRIVAL = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 6, 12, 30, tzinfo=UTC)
POSTMASTER = "postmaster@mail.test"
NO_SUCH_USER = "550 5.1.1 no such user here"


def an_entry(folder: Path, **values: Any) -> LeasedEntry:
    return a_leased_entry(folder, **{"created": ARRIVAL, **values})


def a_result(
    entry: LeasedEntry,
    outcome: Outcome = Outcome.BOUNCED,
    reply: str = NO_SUCH_USER,
    host: str = "mx.example.net",
    index: int = 0,
    **values: Any,
) -> RecipientResult:
    return RecipientResult(entry.recipients[index], outcome, reply, host=host, **values)


def notices(
    entry: LeasedEntry,
    results: Sequence[RecipientResult],
    delayed_until: datetime | None = None,
    postmaster: str = POSTMASTER,
    read: Callable[[], bytes] | None = None,
) -> list[Notice]:
    return notices_for(
        entry,
        results,
        now=NOW,
        hostname="mail.test",
        postmaster=postmaster,
        delayed_until=delayed_until,
        read=read or entry.read,
    )


def a_reported(address: str = "bob@example.net", action: Action = Action.FAILED, **values: Any) -> ReportedRecipient:
    return ReportedRecipient(address, action, **{"status": "5.1.1", "reply": NO_SUCH_USER, **values})


def a_report(*recipients: ReportedRecipient, **values: Any) -> Report:
    return Report(
        **{
            "reporting_mta": "mail.test",
            "postmaster": POSTMASTER,
            "reverse_path": "ann@example.org",
            "recipients": recipients or (a_reported(),),
            "message_id": "<1.dsn@mail.test>",
            "date": NOW,
            "arrival": ARRIVAL,
            "file_name": "01abc.eml",
            "subject": "Lunch on Friday",
            **values,
        }
    )


def parsed(content: bytes) -> EmailMessage:
    """The message as the standard library reads it, which raises on the first defect of its structure."""
    message = email.message_from_bytes(content, policy=policy.default.clone(raise_on_defect=True))
    assert isinstance(message, EmailMessage)
    return message


def parts(content: bytes) -> list[EmailMessage]:
    return list(parsed(content).iter_parts())  # type: ignore[arg-type]


def text(content: bytes) -> str:
    """The part for people, its lines joined to paragraphs."""
    return re.sub(r"\s+", " ", str(parts(content)[0].get_content()))


def groups(content: bytes) -> list[EmailMessage]:
    """The delivery-status part: the message's fields first, then those of each recipient."""
    return parts(content)[1].get_payload()  # type: ignore[return-value]


def assert_legal(content: bytes) -> None:
    """RFC 5322 2.1.1 and 2.3: CRLF line ends only, and no line of more than 998 octets."""
    assert content.endswith(b"\r\n")
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
