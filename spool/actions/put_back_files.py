"""Put Back: moved messages, an EML and the JSON of its envelope each, become entries of the spool again."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Max
from django.utils import timezone

from spool.actions import audit, folders
from spool.actions.actor import Actor
from spool.actions.verb import Refused, Tally
from spool.addressing import RefusedRecipient
from spool.events import mail_log
from spool.files import incoming, store
from spool.files.store import SUFFIX
from spool.flow import intake
from spool.holders import holders
from spool.message.envelope import Submission
from spool.models.entry import Entry
from spool.models.settings import current
from spool.models.trace import Trace
from spool.models.trashed import Trashed
from spool.places import trash
from spool.transfer import envelopes
from spool.transfer.envelopes import FORMAT
from spool.transfer.submissions import submission_of

# While a message is being put back its JSON has this name, so that only one person does. The numbers are what was known
# of it then: by them it is seen after a crash whether it was taken.
_CLAIMED = ".{}.{}-{}.taking"
_CLAIM = re.compile(r"\.(.+\.json)(?:\.(\d{1,19})-(\d{1,19}))?\.taking", re.ASCII)


def put_back(folder: str, actor: Actor, names: Sequence[str] = ()) -> Tally:
    """Take the messages of a folder (or those of `names`) into the spool, and remove their files.

    They come in anew: with 0 attempts, their age counted from now, for the recipients that were still open.
    Raises NotAllowed and Refused.
    """
    actor.require_actions()
    path = folders.checked(folder)
    event = audit.begin(actor, "put-back", f"the messages in {path}", parameters={"folder": str(path)})
    tally = Tally()
    with folders.opened(path, create=False) as here:
        wanted = {name.removesuffix(".json").removesuffix(SUFFIX) for name in names}
        for stem in sorted(_stems(here)):
            if wanted and stem not in wanted:
                continue
            try:
                _one(here, stem)
                tally += Tally(1)
                mail_log.write("restored", stem, by=actor.name, action=event.pk, folder=str(path))
            except (Refused, RefusedRecipient, intake.IntakeError, OSError) as error:
                reason = getattr(error, "reply", "") or str(error)
                tally += Tally(0, 0, 1, f"{stem}: {reason}")
    audit.end(event, tally)
    return tally


def _stems(folder: int) -> set[str]:
    """The messages that are there, by name; also those that a crash left claimed."""
    found = set()
    for name in os.listdir(folder):
        if claim := _CLAIM.fullmatch(name):
            found.add(claim[1].removesuffix(".json"))
        elif name.endswith(".json") and not name.startswith("."):
            found.add(name.removesuffix(".json"))
    return found


def _one(folder: int, stem: str) -> None:
    name, message = f"{stem}.json", f"{stem}{SUFFIX}"
    known, left = _known(message), None
    claimed = _CLAIMED.format(name, known.line, known.entry)
    try:
        os.rename(name, claimed, src_dir_fd=folder, dst_dir_fd=folder)
    except FileNotFoundError as error:
        claimed, left = _left_claim(folder, name)
        if not claimed:
            raise Refused("somebody else is putting it back") from error
    try:
        envelope = folders.read_json(folder, claimed)
        if Entry.objects.filter(file_name=message).exists():
            if not _is_ours(message, envelope):
                raise Refused("a message of that name is in the spool")
        elif left is None or not _went_on(message, left):
            # Else a crash came between its taking and the removal of its files here.
            _take(folder, message, envelope)
    except BaseException:
        os.rename(claimed, name, src_dir_fd=folder, dst_dir_fd=folder)
        raise
    folders.remove(folder, message, claimed)
    # What Undo would put back is in the spool already.
    trash.remove(list(Trashed.objects.filter(file_name=message).values_list("id", flat=True)))


@dataclass(frozen=True, slots=True)
class _Known:
    """The last that was known of a message before it was being put back: a line of the trace, and an entry's id.

    What has a higher number has become of it since.
    """

    line: int
    entry: int


def _known(file_name: str) -> _Known:
    line = Trace.objects.filter(file_name=file_name).aggregate(last=Max("id"))["last"] or 0
    entries = set(Trashed.objects.filter(file_name=file_name).values_list("id", flat=True))
    return _Known(line, max(entries.union(*(holder.entry_ids([file_name]) for holder in holders())), default=0))


def _left_claim(folder: int, name: str) -> tuple[str, _Known | None]:
    """A claim that is a minute old, whose holder has died, and what was known then; "" when there is none.

    Earlier versions did not write what they knew.
    """
    for claimed in folders.listing(folder):
        claim = _CLAIM.fullmatch(claimed)
        if claim is None or claim[1] != name:
            continue
        try:
            if os.stat(claimed, dir_fd=folder).st_ctime < timezone.now().timestamp() - 60:
                return claimed, _Known(int(claim[2]), int(claim[3])) if claim[2] else None
        except FileNotFoundError:
            continue
    return "", None


def _went_on(file_name: str, before: _Known) -> bool:
    """Whether the message was taken and has left the spool since: delivered, deleted, or in a quarantine."""
    now = _known(file_name)
    return now.line > before.line or now.entry > before.entry


def _is_ours(file_name: str, envelope: Any) -> bool:
    """Whether the entry of that name is this message: it was committed, and a crash kept its files here."""
    size = envelope.get("size_bytes") if isinstance(envelope, dict) else None
    if not isinstance(size, int):
        return False
    return Entry.objects.filter(file_name=file_name, size_bytes=size).exists()


def _take(folder: int, file_name: str, envelope: Any) -> None:
    """Have it in the spool. It is copied a piece at a time: large ones don't come into memory."""
    incoming.prepare()
    spilled = store.new_incoming()
    try:
        with spilled.open("xb") as file:
            for piece in folders.pieces(folder, file_name, current().max_message_bytes * 2):
                if b"\0" in piece:
                    raise Refused("its EML is no message: it has NUL bytes")
                file.write(piece)
        intake.accept([_submission(envelope, file_name, spilled)])
    finally:
        spilled.unlink(missing_ok=True)


def _submission(envelope: Any, file_name: str, spilled: Path) -> Submission:
    """What intake takes, from a JSON that anybody may have edited. Raises Refused and RefusedRecipient."""
    if not isinstance(envelope, dict) or envelope.get("format") != FORMAT:
        raise Refused("its JSON is not the envelope of a moved message")
    if len(file_name) > 40 or not spilled.stat().st_size:
        raise Refused("its EML is empty or no message, or its name is not one of the spool's")
    try:
        read = envelopes.read(envelope)
    except envelopes.Unreadable as error:
        raise Refused(str(error)) from error
    submission = submission_of(read, spilled, file_name)
    if not submission.envelope.recipients:
        raise Refused("it has no open recipients")
    return submission
