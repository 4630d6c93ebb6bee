"""Messages and envelopes for tests: `a_message(to=…)` says what matters, the rest is made up."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from spool.files import store
from spool.message.envelope import Envelope, EnvelopeRecipient, LeasedEntry, LeasedRecipient, Submission
from spool.models.entry import Direction, Origin, Priority, Status
from spool.models.recipient import Kind

_numbers = itertools.count(1)


def a_message(
    to: str | Sequence[str] = "bob@example.net",
    sender: str = "ann@example.org",
    subject: str = "Lunch on Friday",
    size: int = 0,
    body: str = "Shall we meet at noon?\r\n",
    test_id: str = "",
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A plain message with CRLF line ends, filled up to `size` bytes if that is more than it needs.

    `test_id` becomes the X-Test-Id header by which CountingSink tells messages apart.
    """
    to = [to] if isinstance(to, str) else to
    fields = [
        ("From", sender or "MAILER-DAEMON@mail.test"),
        ("To", ", ".join(to)),
        ("Subject", subject),
        ("Date", "Mon, 02 Mar 2026 12:00:00 +0000"),
        ("Message-ID", f"<{test_id or next(_numbers)}@example.org>"),
        *([("X-Test-Id", test_id)] if test_id else []),
        *headers,
    ]
    text = "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n" + body
    message = text.encode()
    return message + _filling(size - len(message))


def _filling(size_bytes: int) -> bytes:
    """Lines of text, `size_bytes` in all."""
    if size_bytes <= 0:
        return b""
    line = b"The quick brown fox jumps over the lazy dog, and the dog does not mind it at all.\r\n"
    filling = line * (size_bytes // len(line))
    rest = size_bytes - len(filling)
    # A CRLF must not be cut in two.
    return filling + (b"x" * (rest - 2) + b"\r\n" if rest >= 2 else b"")


def a_recipient(
    address: str = "bob@example.net",
    kind: Kind = Kind.REMOTE,
    *,
    original: str = "",
    notify: str = "",
    orcpt: str = "",
) -> EnvelopeRecipient:
    return EnvelopeRecipient(address, address.rpartition("@")[2], kind, original, notify, orcpt)


def an_envelope(
    sender: str = "ann@example.org",
    to: str | Sequence[str] = "bob@example.net",
    kind: Kind = Kind.REMOTE,
    priority: Priority = Priority.NORMAL,
    origin: Origin = Origin.SMTP,
) -> Envelope:
    to = [to] if isinstance(to, str) else to
    return Envelope(
        sender,
        [a_recipient(address, kind) for address in to],
        client_ip="192.0.2.7",
        ehlo_name="client.example.org",
        origin=origin,
        priority=priority,
    )


def a_submission(
    sender: str = "ann@example.org",
    to: str | Sequence[str] = "bob@example.net",
    kind: Kind = Kind.REMOTE,
    *,
    content: bytes | None = None,
    subject: str = "Lunch on Friday",
    size: int = 0,
    priority: Priority = Priority.NORMAL,
    origin: Origin = Origin.SMTP,
) -> Submission:
    """What a listener hands to intake. The recipients are as given: nothing is resolved."""
    content = a_message(to, sender, subject, size) if content is None else content
    return Submission(an_envelope(sender, to, kind, priority, origin), content=content, size_bytes=len(content))


def a_leased_entry(
    folder: Path,
    sender: str = "ann@example.org",
    to: str | Sequence[str] = "bob@example.net",
    kind: Kind = Kind.REMOTE,
    *,
    content: bytes | None = None,
    subject: str = "Lunch on Friday",
    attempts: int = 0,
    created: datetime | None = None,
    notify: str = "",
    orcpt: str = "",
    envid: str = "",
    ret: str = "",
    smtputf8: bool = False,
    eight_bit: bool = False,
    tls_wish: str = "",
) -> LeasedEntry:
    """An entry as a worker holds it, its message in a file in `folder`. No rows are made."""
    to = [to] if isinstance(to, str) else to
    content = a_message(to, sender, subject) if content is None else content
    file_name = store.new_file_names(1)[0]
    path = folder / file_name
    path.write_bytes(content)
    number = next(_numbers)
    found = re.search(rb"(?im)^message-id:\s*(\S+)", content)
    recipients = [
        LeasedRecipient(number * 1000 + index, address, address.rpartition("@")[2], kind, "", notify, orcpt)
        for index, address in enumerate(to)
    ]
    return LeasedEntry(
        id=number,
        file_name=file_name,
        subspool=folder.name,
        sender=sender,
        auth_user="",
        client_ip="192.0.2.7",
        ehlo_name="",
        tls="",
        port=0,
        next_hop="",
        ours=None,
        release_at=None,
        direction=int(Direction.OUTBOUND if kind is Kind.REMOTE else Direction.INBOUND),
        origin=Origin.SMTP.value,
        subject=subject,
        message_id=found[1].decode() if found else "",
        size_bytes=len(content),
        priority=int(Priority.NORMAL),
        status=Status.DELIVERY_DELAY.value,
        attempts=attempts,
        dns_failures=0,
        recipients_total=len(to),
        recipients_done=0,
        created=created or datetime.now(UTC),
        failures=0,
        envid=envid,
        ret=ret,
        smtputf8=smtputf8,
        eight_bit=eight_bit,
        delay_notified=False,
        tls_wish=tls_wish,
        error_group="",
        path=path,
        recipients=recipients,
    )
