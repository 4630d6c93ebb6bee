"""Put Back: moved messages, an EML and the JSON of its envelope each, become entries of the spool again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from spool import intake, trash
from spool.actions import audit, folders
from spool.actions.actor import Actor
from spool.actions.verb import Refused, Tally
from spool.addressing import RefusedRecipient
from spool.envelope import Submission
from spool.events import mail_log
from spool.models.entry import Entry
from spool.models.settings import current
from spool.models.trashed import Trashed
from spool.store import SUFFIX
from spool.transfer import envelopes
from spool.transfer.envelopes import FORMAT
from spool.transfer.submissions import submission_of

# While a message is being put back its JSON has this name, so that only one person does.
_CLAIMED = ".{}.taking"


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
    audit.end(event, tally, "put back")
    return tally


def _stems(folder: int) -> set[str]:
    """The messages that are there, by name; also those that a crash left claimed."""
    found = set()
    for name in os.listdir(folder):
        if name.startswith(".") and name.endswith(".json.taking"):
            found.add(name[1:].removesuffix(".json.taking"))
        elif name.endswith(".json") and not name.startswith("."):
            found.add(name.removesuffix(".json"))
    return found


def _one(folder: int, stem: str) -> None:
    name, claimed, message = f"{stem}.json", _CLAIMED.format(f"{stem}.json"), f"{stem}{SUFFIX}"
    try:
        os.rename(name, claimed, src_dir_fd=folder, dst_dir_fd=folder)
    except FileNotFoundError as error:
        if not _was_left(folder, claimed):
            raise Refused("somebody else is putting it back") from error
    try:
        envelope = folders.read_json(folder, claimed)
        if not Entry.objects.filter(file_name=message).exists():
            content = folders.read(folder, message, current().max_message_bytes * 2)
            intake.accept([_submission(envelope, message, content)])
        elif not _is_ours(message, envelope):
            raise Refused("a message of that name is in the spool")
    except BaseException:
        os.rename(claimed, name, src_dir_fd=folder, dst_dir_fd=folder)
        raise
    folders.remove(folder, message, claimed)
    # What Undo would put back is in the spool already.
    trash.forget(list(Trashed.objects.filter(file_name=message).values_list("id", flat=True)))


def _was_left(folder: int, claimed: str) -> bool:
    """Whether the claim is a minute old: its holder has died."""
    try:
        return os.stat(claimed, dir_fd=folder).st_ctime < timezone.now().timestamp() - 60
    except FileNotFoundError:
        return False


def _is_ours(file_name: str, envelope: Any) -> bool:
    """Whether the entry of that name is this message: it was committed, and a crash kept its files here."""
    size = envelope.get("size_bytes") if isinstance(envelope, dict) else None
    if not isinstance(size, int):
        return False
    return Entry.objects.filter(file_name=file_name, size_bytes=size).exists()


def _submission(envelope: Any, file_name: str, content: bytes) -> Submission:
    """What intake takes, from a JSON that anybody may have edited. Raises Refused and RefusedRecipient."""
    if not isinstance(envelope, dict) or envelope.get("format") != FORMAT:
        raise Refused("its JSON is not the envelope of a moved message")
    if len(file_name) > 40 or b"\0" in content or not content:
        raise Refused("its EML is empty or no message, or its name is not one of the spool's")
    try:
        read = envelopes.read(envelope)
    except envelopes.Unreadable as error:
        raise Refused(str(error)) from error
    submission = submission_of(read, content, file_name)
    if not submission.envelope.recipients:
        raise Refused("it has no open recipients")
    return submission
