"""Local delivery: what a local address means now, and putting messages into mailboxes.

Everything here is synchronous and works on batches, in a thread of its own. It answers with results and never with
rows: the pass records them, and the messages that a plan spawns exist from that transaction on.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from accounts import directory, unsubscribing
from accounts.directory import LocalAlias, LocalList, LocalUser
from spool.delivery.local import forwards, list_authors, lists, maildir
from spool.delivery.remote.body import LARGEST_WHOLE_BYTES
from spool.delivery.trace_headers import header_line, passed_through
from spool.files import marks
from spool.message.envelope import (
    AttemptRecord,
    EnvelopeRecipient,
    LeasedEntry,
    LeasedRecipient,
    RecipientResult,
    Submission,
    Tail,
)
from spool.message.header import hops
from spool.message.header import split as split_header
from spool.message.held import Source
from spool.models.recipient import Outcome
from spool.models.settings import Settings
from spool.rows import traffic_batches as traffic

log = logging.getLogger(__name__)

MAILDIR_HOST = "maildir"
# Between two looks whether the disk of the Maildirs is there again.
_AWAY_LEAST: Final = timedelta(seconds=20)
_AWAY_MOST: Final = timedelta(minutes=5)
MISSING_MESSAGE = "451 4.3.0 the message's file is missing from the spool"
_LOOP = "554 5.4.6 <{}>: this message has been here before: a mail forwarding loop"

LocalWork = tuple[LeasedEntry, list[LeasedRecipient]]
MailboxWork = tuple[LeasedEntry, list[tuple[LeasedRecipient, LocalUser]]]


@dataclass(slots=True)
class LocalPlan:
    """What is to happen with one entry's local recipients.

    `results` are final already; `spawned` must be committed together with them. `mailboxes` are to be stored, in
    Maildirs or by LMTP. `undecided` are to be planned again, once what they wait for is known.
    """

    results: list[RecipientResult] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    spawned: list[Submission] = field(default_factory=list)
    mailboxes: list[tuple[LeasedRecipient, LocalUser]] = field(default_factory=list)
    # Lists that have to know first what these domains ask for (spool.delivery.author_policies).
    undecided: list[LeasedRecipient] = field(default_factory=list)
    unknown_domains: set[str] = field(default_factory=set)


def plan_batch(batch: Sequence[LocalWork], settings: Settings, now: datetime) -> list[LocalPlan]:
    """Decide, entry by entry, what each local recipient means by now; the directory is asked once for the batch.

    A message is only read where it is to be sent on. When its file is missing, the recipients that need it are
    answered as temporary failures, and the doctor tells of the file.
    """
    directory.lookup_many([recipient.address for _, recipients in batch for recipient in recipients])
    planners = [_Planner(entry, settings, now) for entry, _ in batch]
    members: list[str] = []
    for planner, (_, recipients) in zip(planners, batch, strict=True):
        members += planner.resolve(recipients)
    if members:
        directory.lookup_many(members)
    return [planner.plan() for planner in planners]


class _Planner:
    """The plan of one entry while it is made: the message is read at most once."""

    def __init__(self, entry: LeasedEntry, settings: Settings, now: datetime) -> None:
        self._entry = entry
        self._settings = settings
        self._now = now
        self._plan = LocalPlan()
        self._found: list[tuple[LeasedRecipient, directory.LocalAddress | None]] = []
        self._message: tuple[bytes, bytes, Tail | None] | None = None

    def resolve(self, recipients: Sequence[LeasedRecipient]) -> list[str]:
        """Look up the recipients; returns the further addresses that planning will ask for."""
        further: list[str] = []
        for recipient in recipients:
            found = directory.resolve(recipient.address)
            self._found.append((recipient, found))
            if isinstance(found, LocalList):
                further += found.members
            elif isinstance(found, LocalAlias):
                further += found.targets
            elif isinstance(found, LocalUser):
                further += found.forward_to
        return further

    def plan(self) -> LocalPlan:
        for recipient, found in self._found:
            try:
                self._plan_one(recipient, found)
            except FileNotFoundError:
                log.error("%s: the message's file is missing: %s", self._entry.file_name, self._entry.path)
                self._answer(recipient, Outcome.PENDING, MISSING_MESSAGE, "spool")
            except OSError as error:
                self._answer(recipient, Outcome.PENDING, f"451 4.3.0 {_os_error_text(error)}", "spool")
        return self._plan

    def _plan_one(self, recipient: LeasedRecipient, found: directory.LocalAddress | None) -> None:
        if deleted := self._entry.treatment_of(recipient).deleted:
            self._plan.results.append(RecipientResult(recipient, Outcome.REMOVED, deleted, host="local"))
            return
        if found is None:
            reply = f"550 5.1.1 <{recipient.address}>: no such mailbox here any more; check the address and send again"
            self._answer(recipient, Outcome.BOUNCED, reply, "local")
        elif isinstance(found, LocalList):
            self._to_list(recipient, found)
        elif isinstance(found, LocalAlias):
            self._to_alias(recipient, found)
        elif not found.status.may_receive:
            reply = f"550 5.2.1 <{recipient.address}>: this mailbox is disabled and takes no mail"
            self._answer(recipient, Outcome.BOUNCED, reply, "local")
        elif found.forward_to:
            self._to_forwarding_user(recipient, found)
        else:
            self._plan.mailboxes.append((recipient, found))

    def _to_list(self, recipient: LeasedRecipient, mailing_list: LocalList) -> None:
        if token := unsubscribing.token_in(recipient.original):
            self._leave_list(recipient, token)
            return
        refusal = lists.refusal(mailing_list, self._entry)
        if refusal:
            self._answer(recipient, Outcome.BOUNCED, refusal, "list")
            return
        header, content, tail = self._read()
        if lists.is_looping(mailing_list, header) or self._is_far_travelled(header):
            self._answer(recipient, Outcome.BOUNCED, _LOOP.format(mailing_list.address), "list")
            return
        try:
            as_itself = list_authors.is_rewritten(mailing_list, self._entry, header)
        except list_authors.UnknownPolicies as unknown:
            self._plan.undecided.append(recipient)
            self._plan.unknown_domains |= unknown.domains
            return
        members = lists.members_of(mailing_list)
        self._plan.spawned += lists.submissions(
            mailing_list, self._entry, content, members, self._now, tail, as_itself=as_itself
        )
        text = f"sent to {len(members)} members" if members else "discarded, as nobody on the list takes mail"
        self._answer(recipient, Outcome.DELIVERED, f"250 2.0.0 {mailing_list.address}: {text}", traffic.LIST)

    def _leave_list(self, recipient: LeasedRecipient, token: str) -> None:
        """A mail to the address by which a member leaves; nobody else reads it."""
        try:
            left = unsubscribing.leave(token)
        except unsubscribing.NotOurs:
            reply = f"550 5.1.1 <{recipient.original}>: nobody leaves a list by this address; copy it from its mail"
            self._answer(recipient, Outcome.BOUNCED, reply, "list")
            return
        who = left.address or "whoever it was for"
        reply = f"250 2.0.0 {recipient.address}: {who} is not on the list any more"
        self._answer(recipient, Outcome.DELIVERED, reply, traffic.LIST)

    def _to_alias(self, recipient: LeasedRecipient, alias: LocalAlias) -> None:
        """An address that stood for a mailbox or a list at intake, or an alias without targets."""
        if not alias.targets:
            reply = f"250 2.0.0 {alias.address}: discarded, as nobody is behind this address"
            self._answer(recipient, Outcome.DELIVERED, reply, traffic.ALIAS)
            return
        self._send_on(recipient, alias.address, None, alias.targets)

    def _to_forwarding_user(self, recipient: LeasedRecipient, user: LocalUser) -> None:
        self._send_on(recipient, user.address, user, user.forward_to)

    def _send_on(
        self, recipient: LeasedRecipient, address: str, user: LocalUser | None, forward_to: Sequence[str]
    ) -> None:
        keeps_copy = user is not None and user.forward_keeps_copy
        targets = forwards.targets_of(address, forward_to, recipient, keeps_copy=keeps_copy)
        header, content, tail = self._read()
        if address in passed_through(header) or self._is_far_travelled(header):
            # The mailbox's own part of a forward comes by here too; anything else that does is a loop.
            self._keep_or_bounce(recipient, user if targets.keeps_copy else None, _LOOP.format(address))
            return
        if not targets.recipients:
            reply = targets.refusal or _LOOP.format(address)
            self._keep_or_bounce(recipient, user if targets.keeps_copy else None, reply)
            return
        recipients: list[EnvelopeRecipient] = list(targets.recipients)
        text = f"250 2.0.0 {address}: forwarded to {', '.join(r.address for r in targets.recipients)}"
        if targets.keeps_copy and user is not None:
            recipients.insert(0, forwards.mailbox_copy(user.address, user.domain, recipient))
            text += ", and kept"
        self._plan.spawned.append(forwards.forward(self._entry, content, address, recipients, self._now, tail))
        # One recipient in the new message has taken over the duty to tell of success.
        relayed = targets.keeps_copy or len(recipients) == 1
        host = (
            traffic.ALIAS if user is None else traffic.KEPT_AND_FORWARDED if targets.keeps_copy else traffic.FORWARDED
        )
        self._answer(recipient, Outcome.DELIVERED, text, host, relayed=relayed)

    def _keep_or_bounce(self, recipient: LeasedRecipient, user: LocalUser | None, reply: str) -> None:
        if user is not None:
            self._plan.mailboxes.append((recipient, user))
        else:
            self._answer(recipient, Outcome.BOUNCED, reply, "forward")

    def _is_far_travelled(self, header: bytes) -> bool:
        return hops(header) >= self._settings.max_hops

    def _read(self) -> tuple[bytes, bytes, Tail | None]:
        """(header lines, whole message, None); of a large one (header lines, the same, where its body is)."""
        if self._message is None:
            size = self._entry.size_bytes
            content = self._entry.read_head(LARGEST_WHOLE_BYTES)
            header, rest = split_header(content)
            if size > LARGEST_WHOLE_BYTES and rest:
                self._message = (header, header, Tail(self._entry.path, len(header), size - len(header)))
            else:
                content = content if size <= LARGEST_WHOLE_BYTES else self._entry.read()
                self._message = (header, content, None)
        return self._message

    def _answer(
        self, recipient: LeasedRecipient, outcome: Outcome, reply: str, host: str, *, relayed: bool = False
    ) -> None:
        self._plan.results.append(_result(recipient, outcome, reply, host, relayed=relayed))
        self._plan.attempts.append(_attempt(recipient, reply, host, self._now, 0.0))


def store_maildir(
    batch: Sequence[MailboxWork], now: datetime
) -> list[tuple[list[RecipientResult], list[AttemptRecord]]]:
    """Put each entry into the Maildirs of its recipients; the answers are durable when this returns.

    What the disk refuses is a temporary failure of that recipient, and so is a message whose file is missing: the
    entry waits, its last error says so, and the doctor finds it. Nothing is raised for the batch. While the disk of
    the Maildirs is away nobody was tried: that is no attempt.
    """
    copies = []
    for entry, mailboxes in batch:
        source = entry.source
        copies += [_copy(entry, source, recipient, user) for recipient, user in mailboxes]
    stored = iter(maildir.store(copies))
    answers = []
    for entry, mailboxes in batch:
        results: list[RecipientResult] = []
        attempts: list[AttemptRecord] = []
        for recipient, user in mailboxes:
            here = next(stored)
            outcome = Outcome.DELIVERED if here.error is None else Outcome.PENDING
            reply = _maildir_reply(entry, user, here)
            result = _result(recipient, outcome, reply, MAILDIR_HOST)
            results.append(result)
            if isinstance(here.error, marks.NotOurFolder):
                result.put_off = now + _until_looked_at(now - entry.counted_from)
                continue
            attempts.append(_attempt(recipient, reply, MAILDIR_HOST, now, here.seconds))
        answers.append((results, attempts))
    return answers


def _until_looked_at(age: timedelta) -> timedelta:
    """How long mail of that age waits for a disk that is away: with it, so that many that wait are no work for long."""
    return min(max(_AWAY_LEAST, age / 4), _AWAY_MOST)


def _copy(entry: LeasedEntry, source: Source, recipient: LeasedRecipient, user: LocalUser) -> maildir.Copy:
    header = header_line("Return-Path", f"<{entry.sender}>") + header_line("Delivered-To", user.address)
    if recipient.original:
        header += header_line("X-Original-To", recipient.original)
    header += entry.own_fields_of(recipient)
    folder, treatment = maildir.folder_of(user.address), entry.treatment_of(recipient)
    return maildir.Copy(
        source=source,
        size_bytes=entry.size_bytes,
        folder=folder / maildir.JUNK if treatment.junk else folder,
        unique=maildir.unique_name(entry.file_name, recipient.id, entry.created, user.address),
        header=header + treatment.header,
        subject_prefix=treatment.subject_prefix.encode("ascii", "replace"),
        omitted=entry.omitted,
        created=entry.created.timestamp(),
        limit_bytes=user.mailbox_mb * 1024 * 1024,
    )


def _maildir_reply(entry: LeasedEntry, user: LocalUser, stored: maildir.Stored) -> str:
    error = stored.error
    if error is None:
        was = "was already" if stored.was_there else "stored"
        return f"250 2.0.0 {was} in {user.address}'s Maildir"
    if isinstance(error, maildir.MailboxFull):
        return f"452 4.2.2 <{user.address}>: the mailbox is full (limit {user.mailbox_mb} MB)"
    if isinstance(error, maildir.MessageGone):
        log.error("%s: the message's file is missing: %s", entry.file_name, entry.path)
        return MISSING_MESSAGE
    log.error("%s could not be stored for %s: %s", entry.file_name, user.address, error)
    if error.errno == errno.EDQUOT:
        return f"452 4.2.2 <{user.address}>: the mailbox is full ({_os_error_text(error)})"
    if error.errno == errno.ENOSPC:
        return f"452 4.3.1 <{user.address}>: the mail store is full ({_os_error_text(error)})"
    return f"451 4.3.0 <{user.address}>: could not be stored ({_os_error_text(error)})"


def _os_error_text(error: OSError) -> str:
    """What the system says, without the path: the sender may read it."""
    return error.strerror or (os.strerror(error.errno) if error.errno else type(error).__name__)


def _result(
    recipient: LeasedRecipient, outcome: Outcome, reply: str, host: str, *, relayed: bool = False
) -> RecipientResult:
    return RecipientResult(recipient, outcome, reply, reply.split(" ", 2)[1], host, relayed=relayed)


def _attempt(recipient: LeasedRecipient, reply: str, host: str, now: datetime, seconds: float) -> AttemptRecord:
    return AttemptRecord(now, (recipient.address,), host, "", "", int(reply[:3]), reply, seconds)
