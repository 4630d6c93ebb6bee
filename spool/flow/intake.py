"""How a message becomes durable: its content and its rows, then its sender may forget it.

A small message that is due at once has its content in a row: one commit is all there is to wait for. Of the others of a
batch the files are written and synced together, before the transaction that inserts the rows of all. With
MAILSPOOL_STORE=database all content is rows of that transaction: large messages go there piece by piece, or have been
put into the bucket before (spool.smtpd.uploads), and the transaction names their objects.
`spool.smtpd.committer` makes such batches of what the sessions of a listener bring.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings as django_settings
from django.db import Error as DatabaseError
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone

from base import machine
from base.short_cache import ShortCache
from spool.events import acceptance
from spool.files import store
from spool.flow import doorbell, inline
from spool.flow.shares import Clock, Shares, sender_of
from spool.message.envelope import Submission
from spool.message.summary import storable, summary_of
from spool.message.tls_wish import wish_in
from spool.models.content import IN_DATABASE
from spool.models.entry import HANDED_IN, Direction, Status
from spool.models.recipient import Kind, Outcome
from spool.models.settings import Settings, current
from spool.places import contents, undecided
from spool.places.undecided import Fate
from spool.rows import contents as content_rows
from spool.rows import entries, lease, recipients, statements, traffic_batches
from spool.rows.columns import Row
from spool.rows.entries import entry_values
from spool.rows.keys import list_key, other_key, recipient_keys
from spool.rows.recipients import recipient_values

log = logging.getLogger(__name__)

# So many messages, of so many bytes and recipients, go to PostgreSQL by INSERT and in few trips; what is more, by COPY.
FEW: Final = 2
FEW_BYTES: Final = 256 * 1024
FEW_RECIPIENTS: Final = 10
# The header block is looked for in this much of a spilled message, in bytes.
HEAD_BYTES = 256 * 1024
# What has its place in the database is one row up to this, where MAILSPOOL_INLINE_KB is 0.
MOST_WHOLE_BYTES: Final = 64 * 1024


class IntakeError(Exception):
    """The message was not taken; `reply` is the SMTP reply that leaves it with its sender."""

    reply: str = "451 4.3.0 The message could not be stored; try again later"


class SpoolFull(IntakeError):
    """No room on the disk."""

    reply = "452 4.3.1 The server's disk is full; try again later"


class IntakeUnavailable(IntakeError):
    """The disk or the database failed."""


@dataclass(slots=True)
class Stored:
    """Messages whose files are safe, or will be after `wait`, and whose rows are still to come.

    `in_rows` are the names of those that have no file: their content comes with their rows. `inserted` are the names of
    those whose rows stand in a transaction, with their `entry_ids`; `transactions` are the numbers of such (PostgreSQL
    only): what is asked for when a commit gets no answer.
    """

    submissions: list[Submission]
    file_names: list[str]
    subspool: str
    finish: Callable[[], None] | None = None
    in_rows: set[str] = field(default_factory=set)
    inserted: list[str] = field(default_factory=list)
    entry_ids: dict[str, int] = field(default_factory=dict)
    transactions: list[int] = field(default_factory=list)

    def wait(self) -> None:
        """Until the files are durable: not before may rows be committed. Raises IntakeError, and then none is left."""
        finish, self.finish = self.finish, None
        if finish is None:
            return
        try:
            finish()
        except OSError as error:
            raise _not_written(self.submissions, error) from error


def write_files(writer: store.Writer, submissions: Sequence[Submission], settings: Settings) -> Stored:
    """Make the files of those `submissions` durable that need one. Raises IntakeError; then none is left behind."""
    stored = begin_files(writer, submissions, settings, beside=False)
    stored.wait()
    return stored


def begin_files(writer: store.Writer, submissions: Sequence[Submission], settings: Settings, *, beside: bool) -> Stored:
    """Begin to write them, `beside` what this thread does until it calls `wait`. Raises IntakeError, as that does."""
    fresh = store.new_file_names(len(submissions))
    names = [submission.file_name or name for submission, name in zip(submissions, fresh, strict=True)]
    try:
        for submission in submissions:
            _describe(submission)
        if contents.in_database():
            # Nothing is written before their rows.
            whole = {name for name, one in zip(names, submissions, strict=True) if _fits_in_a_row(one)}
            return Stored(list(submissions), names, IN_DATABASE, None, whole)
        files: list[store.PendingFile] = []
        in_rows: set[str] = set()
        # What is to wait comes to rest at once: outside programs look at its file meanwhile.
        most_bytes = 0 if settings.delivery_delay_seconds else inline.limit_bytes()
        for name, submission in zip(names, submissions, strict=True):
            rests = bool(submission.envelope.hold or submission.envelope.release)
            if submission.size_bytes <= most_bytes and submission.content is not None and not rests:
                in_rows.add(name)
            else:
                files.append(store.PendingFile(name, submission.content, submission.spilled, submission.tail))
        subspool, finish = writer.begin(files, settings.subspool_size, beside=beside, others=len(in_rows))
    except OSError as error:
        raise _not_written(submissions, error) from error
    return Stored(list(submissions), names, subspool, finish, in_rows)


def _fits_in_a_row(submission: Submission) -> bool:
    most_bytes = int(django_settings.MAILSPOOL_INLINE_KB) * 1024 or MOST_WHOLE_BYTES
    return submission.size_bytes <= most_bytes and submission.content is not None and submission.tail is None


def _not_written(submissions: Sequence[Submission], error: OSError) -> IntakeError:
    log.error("a batch of %d messages could not be written: %s", len(submissions), error)
    return SpoolFull() if error.errno in store.FULL else IntakeUnavailable()


def insert_rows(stored: Stored, now: datetime, settings: Settings, wanted: Collection[int] | None = None) -> list[Path]:
    """Insert entries and recipients, of the submissions at the positions `wanted` when that is given.

    Returns the files of the others, which go when this is committed. Call it inside `write_transaction()`; raises
    django.db.Error, and then, or when the commit fails, call `forsake`.
    """
    chosen = range(len(stored.submissions)) if wanted is None else sorted(wanted)
    if not chosen:
        return _files_of(stored, stored.file_names)
    ids, transaction = entries.next_ids(len(chosen))
    if transaction:
        stored.transactions.append(transaction)
    submissions = [stored.submissions[position] for position in chosen]
    names = stored.inserted = [stored.file_names[position] for position in chosen]
    stored.entry_ids = dict(zip(names, ids, strict=True))
    created = statements.db_time(now)
    soonest = now + timedelta(seconds=settings.delivery_delay_seconds)
    soonest_row = statements.db_time(soonest)
    here = machine.noted()
    _shares.look(soonest)
    entry_rows: list[Row] = []
    recipient_rows: list[Row] = []
    received: list[traffic_batches.Receipt] = []
    logins: list[traffic_batches.Login] = []
    for entry_id, file_name, submission in zip(ids, names, submissions, strict=True):
        envelope = submission.envelope
        outbound = False
        sender, sender_key = envelope.sender, other_key(envelope.sender)
        of_list = list_key(envelope.origin, sender)
        for recipient in envelope.recipients:
            is_remote = recipient.kind is _REMOTE
            outbound = outbound or is_remote
            address_key, original_key = recipient_keys(recipient, of_list)
            recipient_rows.append(
                recipient_values(
                    entry_id=entry_id,
                    address=recipient.address,
                    domain=recipient.domain,
                    kind=_REMOTE_KIND if is_remote else _LOCAL_KIND,
                    status=_PENDING,
                    original=recipient.original,
                    notify=recipient.notify,
                    orcpt=recipient.orcpt,
                    address_key=address_key,
                    original_key=original_key,
                )
            )
        sender_domain = (sender_key or sender).rpartition("@")[2]
        due_at, due, release = soonest, soonest_row, envelope.release
        if release is not None and release > soonest:
            due_at, due = release, statements.db_time(release)
        turn = due
        if not envelope.hold and (seconds := _shares.wait(envelope, sender_domain, due_at)):
            turn = statements.db_time(due_at + timedelta(seconds=seconds))
        received.append((sender, envelope.client_ip, outbound))
        origin = str.__str__(envelope.origin)
        logins.append(envelope.auth_user if origin in HANDED_IN else None)
        entry_rows.append(
            entry_values(
                id=entry_id,
                file_name=file_name,
                subspool=stored.subspool,
                sender=sender,
                sender_domain=sender_domain,
                sender_key=sender_key,
                auth_user=envelope.auth_user,
                client_ip=envelope.client_ip,
                ehlo_name=storable(envelope.ehlo_name, 255),
                tls=envelope.tls,
                port=envelope.port,
                direction=_OUTBOUND if outbound else _INBOUND,
                origin=origin,
                subject=submission.subject,
                message_id=submission.message_id,
                size_bytes=submission.size_bytes,
                priority=int(envelope.priority),
                status=_DELAY if due_at is soonest else _SCHEDULED,
                attempts=envelope.attempts,
                recipients_total=len(envelope.recipients),
                created=statements.db_time(envelope.created) if envelope.created else created,
                next_attempt=due,
                due_at=None if envelope.hold else turn,
                turn_at=None if turn is due or due_at > now else turn,
                release_at=None if release is None else statements.db_time(release),
                hold=bool(envelope.hold),
                hold_reason=envelope.hold,
                envid=envelope.envid,
                ret=envelope.ret,
                smtputf8=envelope.smtputf8,
                eight_bit=envelope.eight_bit,
                delay_notified=envelope.delay_notified,
                ours=envelope.ours,
                tls_wish=envelope.tls_wish.value,
                machine=here,
            )
        )
    entries.insert(entry_rows)
    recipients.insert(recipient_rows)
    if stored.in_rows:
        _insert_contents(stored, submissions)
    if stored.subspool == IN_DATABASE:
        _insert_in_parts(stored, submissions)
    traffic_batches.receipts(received, now, logins)
    return _files_of(stored, set(stored.file_names).difference(names))


def _files_of(stored: Stored, names: Iterable[str]) -> list[Path]:
    return [] if stored.subspool == IN_DATABASE else [store.path_of(stored.subspool, name) for name in names]


def _early_turns() -> dict[Clock, float]:
    turns: dict[Clock, float] = {}
    for user, ours, domain, ip, priority, turn in lease.early_turns():
        clock = (sender_of(user, ours, domain, ip), priority)
        turns[clock] = max(turn.timestamp(), turns.get(clock, 0.0))
    return turns


_shares: Final = Shares(_early_turns, lease.is_any_early)


def _insert_contents(stored: Stored, submissions: Sequence[Submission]) -> None:
    ids, in_rows = stored.entry_ids, stored.in_rows
    content_rows.insert(
        [
            (ids[name], submission.content)
            for name, submission in zip(stored.inserted, submissions, strict=True)
            if name in in_rows and submission.content is not None
        ]
    )


def _insert_in_parts(stored: Stored, submissions: Sequence[Submission]) -> None:
    """The content of those that are too large for a row. Raises django.db.Error, and OSError when it can't be read."""
    for name, submission in zip(stored.inserted, submissions, strict=True):
        if submission.stored_as:
            content_rows.insert_object(stored.entry_ids[name], submission.stored_as, submission.size_bytes)
        elif name not in stored.in_rows:
            content_rows.insert_in_parts(stored.entry_ids[name], submission.pieces(content_rows.PART_BYTES))


def forsake(stored: Stored, error: BaseException) -> None:
    """The transaction that was to insert rows ended with `error`: remove the files that need not stay.

    Those whose rows were inserted stay until the database says what became of them: now, or when it answers again. A
    name that its caller chose may have been written again by another process, so such files are left to the doctor.
    """
    if stored.subspool == IN_DATABASE:
        return
    chosen = {submission.file_name for submission in stored.submissions}
    ours = [name for name in stored.file_names if name not in chosen]
    waiting = set(stored.inserted)
    undecided.remove_files(stored.subspool, [name for name in ours if name not in waiting])
    undecided.keep(_batch(stored, [name for name in ours if name in waiting]))
    if not undecided.lost_connection(error):
        undecided.settle_now()


def _batch(stored: Stored, names: Sequence[str]) -> undecided.Batch:
    return undecided.Batch(stored.subspool, list(names), list(stored.transactions))


# An enumeration's members and their values are looked up by Python code: too dear for each message.
_REMOTE: Final = Kind.REMOTE
_REMOTE_KIND: Final = Kind.REMOTE.value
_LOCAL_KIND: Final = Kind.LOCAL.value
_PENDING: Final = Outcome.PENDING.value
_DELAY: Final = Status.DELIVERY_DELAY.value
_SCHEDULED: Final = Status.SCHEDULED.value
_OUTBOUND: Final = int(Direction.OUTBOUND)
_INBOUND: Final = int(Direction.INBOUND)


def commit(writer: store.Writer, submissions: Sequence[Submission]) -> list[str]:
    """Take `submissions` into the spool; returns their file names. Durable on return; raises IntakeError."""
    try:
        settings = _settings()
    except DatabaseError as error:
        raise IntakeUnavailable from error
    if _disk_is_low(settings.min_free_mb):
        raise SpoolFull
    if statements.on_sqlite():
        # Its one lock for all who write must not be held until the files are safe.
        stored = write_files(writer, submissions, settings)
    else:
        stored = begin_files(writer, submissions, settings, beside=True)
    now = timezone.now()
    try:
        together = statements.few_trips() if _are_few(submissions) else nullcontext()
        with statements.write_transaction():
            with together:
                insert_rows(stored, now, settings)
            stored.wait()
    except Exception as error:  # a message that nobody thought of leaves as little behind as a disk that is full
        stored.wait()
        is_known = isinstance(error, DatabaseError | OSError)
        log.error(
            "a batch of %d messages could not be committed: %r",
            len(submissions),
            error,
            exc_info=None if is_known else error,
        )
        full = statements.says_full(error)
        if full or not _is_committed(stored, now, settings, again=undecided.lost_connection(error)):
            forsake(stored, error)
            raise (SpoolFull() if full else IntakeUnavailable()) from error
    try:
        acceptance.accepted(stored.submissions, stored.file_names)
        undecided.settle()
        if stored.subspool == IN_DATABASE:
            _remove_spilled(stored.submissions)
    except Exception:  # they are taken, whatever becomes of this
        log.exception("messages are taken, but not all that follows from it was done")
    return stored.file_names


def _remove_spilled(submissions: Sequence[Submission]) -> None:
    """Their content is in the database: the files that they came in are needed no more."""
    for submission in submissions:
        if submission.spilled is not None:
            try:
                store.unlink(submission.spilled)
            except OSError as error:
                log.error("%s could not be removed, the doctor will find it: %s", submission.spilled, error)


def _are_few(submissions: Sequence[Submission]) -> bool:
    return (
        len(submissions) <= FEW
        and sum(submission.size_bytes for submission in submissions) <= FEW_BYTES
        and sum(len(submission.envelope.recipients) for submission in submissions) <= FEW_RECIPIENTS
    )


def _settings() -> Settings:
    """The settings, also by a connection that did not outlive a restart of the database. Raises django.db.Error."""
    try:
        return current()
    except (OperationalError, InterfaceError):
        connection.close()
        return current()


# Long enough for PostgreSQL to come back from a crash; clients wait for minutes (RFC 5321 4.5.3.2.6).
_PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)


def _is_committed(stored: Stored, now: datetime, settings: Settings, *, again: bool) -> bool:
    """Whether the rows are there after all: the commit was carried out without an answer, or (`again`) is done anew.

    A message may have come and gone meanwhile, so it is the transaction that is asked about. While one that may still
    be carried out is open, no other is begun.
    """
    for pause in _PAUSES if again else _PAUSES[:1]:
        time.sleep(pause)
        try:
            connection.close()
            outcome = undecided.fate(_batch(stored, stored.inserted)) if stored.inserted else Fate.ABORTED
            if outcome is Fate.COMMITTED:
                return True
            if again and outcome is Fate.ABORTED:
                with statements.write_transaction():
                    insert_rows(stored, now, settings)
                return True
        except IntegrityError:
            # Of the rows themselves, or of one transaction more that was carried out: the next look tells.
            continue
        except (DatabaseError, OSError) as error:
            log.error("a batch of %d messages could still not be committed: %s", len(stored.submissions), error)
    return False


def _free_bytes() -> int:
    """On the fuller one of the file systems that a new message may lie on: the spool's, or a database file's."""
    in_a_file = statements.on_sqlite()
    beside = shutil.disk_usage(Path(connection.settings_dict["NAME"]).parent).free if in_a_file else sys.maxsize
    return min(store.free_bytes(), beside)


_free = ShortCache(1.0, _free_bytes)


def _disk_is_low(min_free_mb: int) -> bool:
    """Whether less than `min_free_mb` MB are left, by a look at most once a second."""
    try:
        return _free.current() < min_free_mb * 1024 * 1024
    except OSError:
        # The spool's folder is not there yet: the writer makes it, or says what is wrong.
        return False


def _describe(submission: Submission) -> None:
    """Fill in size, subject and Message-ID where the door has not."""
    if submission.content is not None:
        submission.size_bytes = len(submission.content) + (submission.tail.size_bytes if submission.tail else 0)
        head = submission.content
    elif submission.spilled is not None:
        submission.size_bytes = submission.spilled.stat().st_size
        head = b""
        if not submission.subject and not submission.message_id:
            with submission.spilled.open("rb") as file:
                head = file.read(HEAD_BYTES)
    else:
        raise ValueError("a submission needs content or a spilled file")
    if not submission.subject and not submission.message_id:
        submission.subject, submission.message_id = summary_of(head)
        # From a file or a command: nobody has looked at its header yet.
        submission.envelope.tls_wish = submission.envelope.tls_wish or wish_in(head)


_accept_lock = threading.Lock()
_accept_writer: store.Writer | None = None


def accept(submissions: Sequence[Submission]) -> list[str]:
    """Take messages in from a command, the drop folder or another part of the spool; returns their file names.

    They are durable on return, and the workers have been told. Raises IntakeError.
    """
    global _accept_writer
    if not submissions:
        return []
    with _accept_lock:
        if _accept_writer is None:
            _accept_writer = contents.writer()
        names = commit(_accept_writer, submissions)
    doorbell.ring()
    return names
