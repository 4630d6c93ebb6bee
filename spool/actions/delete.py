"""Delete: into the trash, from where it can be undone; with or without a bounce to the sender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts.addresses import key_of
from base.actions.inputs import Input
from spool.actions import split_recipient
from spool.actions.verb import Context, Progress, Tally, Verb
from spool.events import mail_log, results
from spool.events.actions import changed
from spool.files import store
from spool.flow import doorbell, intake, leases
from spool.flow.notifications import notifications
from spool.message.envelope import LeasedEntry, RecipientResult, Submission
from spool.models.recipient import Outcome
from spool.models.settings import current
from spool.models.trashed import Trashed, TrashState
from spool.places import contents, trash

# Our own words: no host answered this. RFC 3463 X.7.1, delivery not authorised: nothing fits the decision better.
_REPLY = "The message was removed from the queue by the administrator of the mail server"
_STATUS = "5.7.1"
# Notices are whole messages, in memory until they are written.
_NOTICES = 50


class Delete(Verb):
    """The message leaves the spool for the trash, from where it can be put back until that is emptied."""

    name, label, past = "delete", _lazy("Delete"), _lazy("deleted")
    icon, danger = "delete", True
    inputs = (Input("bounce", _lazy("Send bounce"), "check", option_help="tell the senders by a bounce"),)
    chunk = 10_000
    undoable = True
    of_mailbox = True

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"bounce": bool(given.get("bounce")), **mailbox_of(given)}

    def effect(self, parameters: Mapping[str, Any]) -> str:
        days = current().trash_days
        told = (
            _("Their senders get a bounce, which can't be called back.")
            if parameters["bounce"]
            else (_("Their senders are not told."))
        )
        kept = ngettext("This can be undone for %(days)s day.", "This can be undone for %(days)s days.", days)
        if mailbox := parameters.get("mailbox"):
            what = _("They are not delivered to %(mailbox)s; their other recipients still get them.") % {
                "mailbox": mailbox
            }
        else:
            what = _("They leave the spool and are not delivered.")
        return f"{what} {told} {kept % {'days': days}}"

    def is_repeatable(self, parameters: Mapping[str, Any]) -> bool:
        return not parameters["bounce"] and "mailbox" not in parameters

    def chunk_for(self, parameters: Mapping[str, Any]) -> int:
        return split_recipient.CHUNK if "mailbox" in parameters else self.chunk

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        mailbox = parameters.get("mailbox", "")
        if not parameters["bounce"]:
            self._chunk(ids, mailbox, context, progress, _Notices())
            return
        for start in range(0, len(ids), _NOTICES):
            some = ids[start : start + _NOTICES]
            self._chunk(some, mailbox, context, progress, _notices(some, mailbox, context))
        doorbell.ring()

    def _chunk(self, ids: Sequence[int], mailbox: str, context: Context, progress: Progress, notices: _Notices) -> None:
        try:
            with split_recipient.chosen(ids, mailbox, context) as chosen:
                reply = f"Removed by {context.actor}"
                taken = trash.take(chosen.ids, context.event_id, context.now, reply, TrashState.TRASHED)
                changed(context, "deleted", Trashed.objects.filter(id__in=taken))
                unused = notices.insert({chosen.came_from.get(one, one) for one in taken}, context)
                progress(Tally(len(taken)) + chosen.others, ids[-1])
        except BaseException as error:
            if notices.stored is not None:
                intake.forsake(notices.stored, error)
            raise
        for path in unused:
            store.unlink(path)


@dataclass(slots=True)
class _Notices:
    """Notices whose files are written; the entries that they are about, in the same order."""

    stored: intake.Stored | None = None
    about: list[int] = field(default_factory=list)

    def insert(self, deleted: set[int], context: Context) -> list[Path]:
        """Insert the rows of those about `deleted` entries; returns the files of the others."""
        if self.stored is None:
            return []
        wanted = [position for position, entry_id in enumerate(self.about) if entry_id in deleted]
        if mail_log.is_on():
            made = [(self.stored.submissions[one], self.stored.file_names[one]) for one in wanted]
            mail_log.after_commit([event for notice in made for event in results.spawned(*notice)])
        return intake.insert_rows(self.stored, context.now, current(), wanted)


def mailbox_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The recipient to whom alone something is done, where one is given."""
    return {"mailbox": str(given["mailbox"])} if given.get("mailbox") else {}


def _notices(ids: Sequence[int], mailbox: str, context: Context) -> _Notices:
    """Bounces for the open recipients of `ids`, their files durable. Raises intake.IntakeError."""
    submissions: list[Submission] = []
    about: list[int] = []
    for entry in leases.look_at(ids):
        if mailbox:
            entry.recipients = [one for one in entry.recipients if key_of(one.address) == key_of(mailbox)]
        for submission in _bounces(entry, context):
            submissions.append(submission)
            about.append(entry.id)
    if not submissions:
        return _Notices()
    writer = contents.writer()
    try:
        return _Notices(intake.write_files(writer, submissions, current()), about)
    finally:
        writer.close()


def _bounces(entry: LeasedEntry, context: Context) -> list[Submission]:
    results = [RecipientResult(r, Outcome.BOUNCED, _REPLY, _STATUS) for r in entry.recipients]
    return notifications(entry, results, current(), context.now) if results else []
