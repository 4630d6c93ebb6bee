"""The plain values that pass between intake, stages and delivery: no rows, no queries."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from base import clock
from spool.message.held import Held, Source, Streamed
from spool.message.tls_wish import TLSWish
from spool.models.bounce import ReceivedBounce
from spool.models.entry import Origin, Priority, Status, counted_from
from spool.models.mail_report import IncomingReport
from spool.models.recipient import Kind, Outcome
from spool.models.suppression import Finding


@dataclass(slots=True)
class EnvelopeRecipient:
    """A forward-path on its way in. `address` is normalised, `domain` is its right side, in A-labels."""

    address: str
    domain: str
    kind: Kind
    original: str = ""
    notify: str = ""
    orcpt: str = ""


@dataclass(slots=True)
class Envelope:
    """RFC 5321 envelope plus where it came from. `sender` is "" for the null sender.

    `ours` says that it comes from one of us, as spool.trusted has it; None where that follows from the rest.
    """

    sender: str
    recipients: list[EnvelopeRecipient] = field(default_factory=list)
    auth_user: str = ""
    client_ip: str = ""
    ehlo_name: str = ""
    origin: Origin = Origin.SMTP
    priority: Priority = Priority.NORMAL
    envid: str = ""
    ret: str = ""
    smtputf8: bool = False
    eight_bit: bool = False
    # Of the session it came in by: protocol and cipher, and our port (0: by none).
    tls: str = ""
    port: int = 0
    # That session's name in the mail log.
    session: str = ""
    # Of one that another spool had before: since when, how often it was tried, and why it is on hold, if it is.
    created: datetime | None = None
    attempts: int = 0
    delay_notified: bool = False
    hold: str = ""
    ours: bool | None = None
    # When its sender wants it to leave; None for at once.
    release: datetime | None = None
    tls_wish: TLSWish = TLSWish.USUAL


@dataclass(frozen=True, slots=True)
class Tail:
    """What a new message has in common with one of the spool: `size_bytes` of its file, from `offset` to the end."""

    path: Path
    offset: int
    size_bytes: int


@dataclass(slots=True)
class Submission:
    """A message and its envelope, ready to be made durable.

    `content` is the whole message, trace headers included, with CRLF line ends. Of one too large to keep in memory it
    is the header, with the body as `tail`; or `spilled` is a file in the spool's incoming folder that already holds it
    all (not yet synced). `file_name` is given by intake, unless a caller that may repeat itself after a crash (the drop
    folder) has chosen it. `parent` is the file name of the entry that it comes from: what a notice is about, or what a
    forward or a copy is made of; `notice` is what a notice says of that one's recipients. `stored_as` is the key of the
    object in the bucket that has what is in `spilled` (spool.files.bucket).
    """

    envelope: Envelope
    content: bytes | None = None
    spilled: Path | None = None
    tail: Tail | None = None
    size_bytes: int = 0
    subject: str = ""
    message_id: str = ""
    file_name: str = ""
    parent: str = ""
    notice: str = ""
    stored_as: str = ""

    def pieces(self, size_bytes: int) -> Iterator[bytes]:
        """The whole of it, in pieces of that size; the last is smaller. Raises OSError."""
        rest = b""
        for piece in self._read(size_bytes):
            rest += piece
            while len(rest) >= size_bytes:
                yield rest[:size_bytes]
                rest = rest[size_bytes:]
        if rest:
            yield rest

    def _read(self, size_bytes: int) -> Iterator[bytes]:
        if self.content is not None:
            for start in range(0, len(self.content), size_bytes):
                yield self.content[start : start + size_bytes]
        if self.spilled is not None:
            with self.spilled.open("rb") as file:
                while piece := file.read(size_bytes):
                    yield piece
        if self.tail is not None:
            with self.tail.path.open("rb") as file:
                file.seek(self.tail.offset)
                left = self.tail.size_bytes
                while left and (piece := file.read(min(left, size_bytes))):
                    left -= len(piece)
                    yield piece
            if left:
                raise OSError(errno.EIO, "the message is shorter than its size says", str(self.tail.path))


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to a message while it is delivered. Its file never changes; `subject_prefix` and `junk` are for
    mailboxes here alone.

    `header` are lines with CRLF that are put before it. `deleted`, when it is not empty, is the reply with which the
    message is thrown away instead.
    """

    header: bytes = b""
    subject_prefix: str = ""
    junk: bool = False
    deleted: str = ""


AS_IT_IS = Treatment()


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """The entry rests until `due`, under `status`; this is no attempt. `reason` is shown as its last error."""

    due: datetime
    status: Status
    reason: str = ""


@dataclass(slots=True)
class LeasedRecipient:
    """A recipient that is still open, of an entry under lease."""

    id: int
    address: str
    domain: str
    kind: Kind
    original: str
    notify: str
    orcpt: str


@dataclass(slots=True)
class LeasedColumns:
    """What a worker gets of an entry's columns: a field is all that another one needs (spool.rows.lease)."""

    id: int
    file_name: str
    subspool: str
    sender: str
    auth_user: str
    client_ip: str
    ehlo_name: str
    tls: str
    port: int
    direction: int
    origin: str
    subject: str
    message_id: str
    size_bytes: int
    priority: int
    status: str
    attempts: int
    dns_failures: int
    recipients_total: int
    recipients_done: int
    created: datetime
    failures: int
    envid: str
    ret: str
    smtputf8: bool
    eight_bit: bool
    delay_notified: bool
    # Why it waited for delivery last; empty before it ever did.
    error_group: str
    # Host, or host:port, that an administrator chose instead of its usual route.
    next_hop: str
    # Whether it comes from one of us; None where that follows from the rest (spool.trusted.is_ours).
    ours: bool | None
    # When it was to leave, where its sender chose the time.
    release_at: datetime | None
    # As TLSWish has it.
    tls_wish: str

    @property
    def counted_from(self) -> datetime:
        """Since when it could have been delivered: its lifetime and its lateness count from then on."""
        return counted_from(self.created, self.release_at)


@dataclass(slots=True)
class LeasedEntry(LeasedColumns):
    """An entry that this worker holds, with its open recipients. Valid until the pass commits its outcome.

    `path` is where its file is, or will be: as long as it has none, `content` is the whole message, or `streamed` where
    that is read from. A copy of the latter may be at `path` (spool.files.working): then it `is_copied`.
    """

    path: Path
    content: bytes | None = None
    streamed: Streamed | None = None
    is_copied: bool = False
    recipients: list[LeasedRecipient] = field(default_factory=list)
    # What stages want done to it: for all recipients, and by the ids of those for whom it is something else.
    treatment: Treatment = AS_IT_IS
    treatments: Mapping[int, Treatment] | None = None
    # By the ids of recipients: the reverse-path of their copy, where that is not the entry's (spool.flow.passing_on).
    reverse_paths: Mapping[int, str] | None = None
    # By the ids of recipients: fields of the header that only that one gets (spool.flow.list_fields).
    own_fields: Mapping[int, bytes] | None = None
    # By the ids of recipients: the reply with which those bounce that nothing is sent to (spool.flow.suppressing).
    refused: Mapping[int, str] | None = None
    # Fields of its header that nobody gets, as trace_headers.fields_of has them.
    omitted: frozenset[bytes] = frozenset()
    # When it was taken to be worked on.
    leased: datetime | None = None
    # From when on, by the steady clock, others may take it, unless the lease is renewed before.
    held_until: float = math.inf
    # Whether a notice to its sender may have it in it whole, or only its header.
    is_quotable: bool = True
    # Until when, and why, those of its open recipients wait who are not among `recipients` now.
    held_back: WaitUntil | None = None
    # Fields that answer for it, once they were made: the same for all who get it. Empty where nobody does.
    signature: bytes | None = None
    # The hash of its body, where several signatures need it.
    body_hash: bytes | None = None
    # What stages found out about it, to be written down by them (Stage.remember) should it come by again.
    notes: tuple[Any, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether the lease lasts: a worker that was asleep may not begin to send what others may have taken."""
        return clock.steady() < self.held_until

    def treatment_of(self, recipient: LeasedRecipient) -> Treatment:
        """What is done to the copy of one recipient."""
        return self.treatments.get(recipient.id, self.treatment) if self.treatments else self.treatment

    def sender_for(self, recipient: LeasedRecipient) -> str:
        """The reverse-path of the copy of one recipient."""
        return self.reverse_paths.get(recipient.id, self.sender) if self.reverse_paths else self.sender

    def own_fields_of(self, recipient: LeasedRecipient) -> bytes:
        """The fields that are put before the copy of one recipient, and signed with it."""
        return self.own_fields.get(recipient.id, b"") if self.own_fields else b""

    @property
    def is_in_rows(self) -> bool:
        """Whether its content is in the database, and it has no file of its own."""
        return self.content is not None or self.streamed is not None or self.is_copied

    @property
    def source(self) -> Source:
        """Where to read it from."""
        if self.content is not None:
            return Held(self.content)
        return self.streamed or self.path

    def read(self) -> bytes:
        """The whole message. Raises FileNotFoundError when its file is gone."""
        return self.source.read_bytes() if self.content is None else self.content

    def read_head(self, size_bytes: int) -> bytes:
        """No more than the first `size_bytes` of it. Raises FileNotFoundError."""
        if self.content is not None:
            return self.content[:size_bytes]
        if self.streamed is not None:
            return self.streamed.read_head(size_bytes)
        with self.path.open("rb") as file:
            return file.read(size_bytes)

    def open(self) -> BinaryIO:
        """The message, to be read a piece at a time. Raises FileNotFoundError."""
        return self.source.open("rb")


@dataclass(slots=True)
class AttemptRecord:
    """One transaction with one host, for the attempts log. `code` is 0 when no reply came."""

    at: datetime
    recipients: tuple[str, ...]
    host: str
    ip: str
    tls: str
    code: int
    reply: str
    seconds: float
    # For the mail log: the port, how long the connection took before that, when it was made for this, and whether there
    # was one at all: otherwise all of `seconds` went into trying.
    port: int = 0
    connect_seconds: float = 0.0
    connected: bool = True


@dataclass(slots=True)
class RecipientResult:
    """What one attempt did for one recipient.

    `outcome` PENDING means try again: the failure was temporary. `status_code` is RFC 3463's (as "5.1.1").
    `dns` marks a failure of the DNS rather than of a host. `relayed` says that the next hop promised to honour the
    DSN parameters itself, so that we owe no success notice (RFC 3461 5.2.2). `answered` says that `reply` is what
    `host` itself answered, word for word; otherwise it is ours. `put_off` is until when its host rests, or the disk of
    its mailbox is looked for again: it was not tried then, which is no attempt. `again` is when a host that takes
    nobody at the first try wants to see another.
    `site` is the receiver (spool.delivery.remote.providers), as far as it is known.
    """

    recipient: LeasedRecipient
    outcome: Outcome
    reply: str
    status_code: str = ""
    host: str = ""
    dns: bool = False
    relayed: bool = False
    answered: bool = False
    put_off: datetime | None = None
    again: datetime | None = None
    site: str = ""


@dataclass(slots=True)
class DeliveryReport:
    """All that delivery did with one entry: to be committed in one transaction.

    `spawned` are new messages that must exist if and only if the results are recorded: forwards, list copies.
    `bounces` are the reports about our users' mail that this entry brought them, `findings` what follows from them and
    from complaints about abuse.
    """

    entry: LeasedEntry
    results: list[RecipientResult] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    spawned: list[Submission] = field(default_factory=list)
    bounces: list[ReceivedBounce] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    # Itself, where it is one about a domain of ours.
    incoming: IncomingReport | None = None
    # Whoever waits in it was not tried, and is to be tried at once: it was no attempt.
    is_interrupted: bool = False

    @property
    def waits(self) -> bool:
        """Whether some recipient is to be tried again, or has yet to be tried at all."""
        return self.entry.held_back is not None or any(result.outcome is Outcome.PENDING for result in self.results)

    def extend(self, results: Sequence[RecipientResult], attempt: AttemptRecord | None = None) -> None:
        self.results.extend(results)
        if attempt is not None:
            self.attempts.append(attempt)


@dataclass(slots=True)
class Recorded:
    """What is committed of one report. `final` are without those that another worker has settled before.

    `due` is when what waits is tried again. `spawned` are the new messages and their file names.
    """

    entry: LeasedEntry
    attempts: list[AttemptRecord]
    final: list[RecipientResult]
    waiting: list[RecipientResult]
    due: datetime | None
    spawned: list[tuple[Submission, str]]
    ended: bool = True
