"""Resend a copy: a new message with the same bytes, to the same recipients or to others; the entry stays as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.actions.inputs import Input
from spool.actions.recipients import parse_recipients
from spool.actions.verb import Context, Progress, Tally, Verb
from spool.delivery.remote.body import LARGEST_WHOLE_BYTES
from spool.events import mail_log
from spool.events.acceptance import acceptance
from spool.files import incoming, store
from spool.flow import doorbell, intake, leases
from spool.message.envelope import Envelope, EnvelopeRecipient, LeasedEntry, Submission, Tail
from spool.message.held import Streamed
from spool.message.tls_wish import TLSWish
from spool.models.entry import Origin, Priority
from spool.models.recipient import Kind, Recipient
from spool.models.settings import current
from spool.places import contents, whereabouts
from spool.rows import statements
from spool.trusted import is_ours


class ResendCopy(Verb):
    """Harmless to an entry on the wire: only its file is read."""

    name, label, past = "resend", _lazy("Resend a copy"), _lazy("copied")
    icon, agree = "forward_to_inbox", _lazy("Send the copy")
    inputs = (
        Input(
            "to",
            _lazy("To"),
            "area",
            placeholder=_lazy("One address per line; empty for the recipients it has"),
            option_help="to these instead of their recipients",
            metavar="ADDRESS",
        ),
    )
    chunk = 20

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        to = given.get("to") or ""
        return {"to": [r.address for r in parse_recipients(to)] if to else []}

    def effect(self, parameters: Mapping[str, Any]) -> str:
        to = ", ".join(parameters["to"]) or _("all their recipients again, also those that have it already")
        return _("A copy of each goes to %(to)s. The originals stay as they are.") % {"to": to}

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        entries = leases.look_at(ids)
        made = whereabouts.known([_name(entry, context) for entry in entries])
        submissions = []
        for entry in entries:
            if _name(entry, context) in made:
                continue
            recipients = parse_recipients(parameters["to"]) if parameters["to"] else _all_recipients(entry)
            try:
                submissions.append(_copy(entry, recipients, context))
            except FileNotFoundError:
                continue
        try:
            stored = _written(submissions)
            count = (len(stored.submissions) if stored is not None else 0) + len(made)
            tally = Tally(count, 0, len(ids) - count, "already gone" if count < len(ids) else "")
            self._commit(stored, tally, ids[-1], context, progress)
        finally:
            for submission in submissions:
                if submission.spilled is not None:
                    submission.spilled.unlink(missing_ok=True)

    def _commit(
        self, stored: intake.Stored | None, tally: Tally, last: int, context: Context, progress: Progress
    ) -> None:
        try:
            with statements.write_transaction():
                if stored is not None:
                    intake.insert_rows(stored, context.now, current())
                    mail_log.after_commit(list(map(acceptance, stored.submissions, stored.file_names)))
                progress(tally, last)
        except BaseException as error:
            if stored is not None:
                intake.forsake(stored, error)
            raise
        doorbell.ring()


def _written(submissions: list[Submission]) -> intake.Stored | None:
    """Make the copies' files durable, of those whose original is still there. Raises IntakeError."""
    writer = contents.writer()
    try:
        while submissions:
            try:
                return intake.write_files(writer, submissions, current())
            except intake.IntakeError:
                # One that has been delivered meanwhile takes its file along.
                there = [one for one in submissions if one.tail is None or one.tail.path.exists()]
                if len(there) == len(submissions):
                    raise
                submissions = there
        return None
    finally:
        writer.close()


def _name(entry: LeasedEntry, context: Context) -> str:
    """The same each time a chunk is worked on, so that a chunk done twice makes one copy of each."""
    digest = hashlib.sha256(f"{context.job_id} {entry.file_name}".encode()).hexdigest()
    return f"{entry.file_name[:10]}{digest[:16]}{store.SUFFIX}"


def _all_recipients(entry: LeasedEntry) -> list[EnvelopeRecipient]:
    return [
        EnvelopeRecipient(r.address, r.domain, Kind(r.kind), r.original, r.notify, r.orcpt)
        for r in Recipient.objects.filter(entry_id=entry.id).order_by("id")
    ]


def _spilled(streamed: Streamed) -> Path:
    """A large message that has no file, on its way to be another. Raises FileNotFoundError and OSError."""
    incoming.prepare()
    path = store.new_incoming()
    try:
        with path.open("xb") as file:
            file.writelines(streamed.pieces())
    except BaseException:
        store.unlink(path)
        raise
    return path


def _copy(entry: LeasedEntry, recipients: list[EnvelopeRecipient], context: Context) -> Submission:
    envelope = Envelope(
        entry.sender,
        recipients,
        auth_user=entry.auth_user,
        client_ip=entry.client_ip,
        ehlo_name=entry.ehlo_name,
        origin=Origin.COMMAND,
        priority=Priority(entry.priority),
        envid=entry.envid,
        ret=entry.ret,
        smtputf8=entry.smtputf8,
        eight_bit=entry.eight_bit,
        tls_wish=TLSWish(entry.tls_wish),
        tls=entry.tls,
        port=entry.port,
        ours=is_ours(entry),
    )
    # What is large does not come into memory.
    is_large = entry.size_bytes > LARGEST_WHOLE_BYTES
    spilled = _spilled(entry.streamed) if is_large and entry.streamed is not None else None
    return Submission(
        envelope,
        (b"" if spilled is None else None) if is_large else entry.read(),
        tail=Tail(entry.path, 0, entry.path.stat().st_size) if is_large and entry.streamed is None else None,
        spilled=spilled,
        subject=entry.subject,
        message_id=entry.message_id,
        file_name=_name(entry, context),
        parent=entry.file_name,
    )
