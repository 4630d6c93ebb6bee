"""Put Back: moved messages, an EML and the JSON of its envelope each, become entries of the spool again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from spool import intake, trash
from spool.actions import audit, folders
from spool.actions.actor import Actor
from spool.actions.moving import FORMAT
from spool.actions.verb import Refused, Tally
from spool.addressing import RefusedRecipient, accept
from spool.dsn.xtext import parse_envid, parse_notify, parse_orcpt, parse_ret
from spool.envelope import Envelope, EnvelopeRecipient, Submission
from spool.events import mail_log
from spool.headers import storable
from spool.models.entry import Entry, Origin, Priority
from spool.models.settings import current
from spool.models.trashed import Trashed
from spool.store import SUFFIX

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
        recipients: dict[str, EnvelopeRecipient] = {}
        for one in envelope["recipients"]:
            if one["status"] != "pending":
                continue
            notify, orcpt = str(one.get("notify") or ""), str(one.get("orcpt") or "")
            notify, orcpt = parse_notify(notify) if notify else "", parse_orcpt(orcpt) if orcpt else ""
            for recipient in accept(str(one["address"]), notify, orcpt):
                recipient.original = recipient.original or storable(str(one.get("original") or ""), 320)
                recipients[recipient.address] = recipient
        sender = str(envelope["sender"])
        if sender:
            accept_sender(sender)
        priority = Priority(int(envelope.get("priority", Priority.NORMAL)))
        envid, ret = str(envelope.get("envid") or ""), str(envelope.get("ret") or "")
        envid, ret = parse_envid(envid) if envid else "", parse_ret(ret) if ret else ""
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"its JSON is not a whole envelope: {error}") from error
    if not recipients:
        raise Refused("it has no open recipients")
    return Submission(
        Envelope(
            sender, list(recipients.values()), auth_user=storable(str(envelope.get("auth_user") or ""), 254),
            client_ip=storable(str(envelope.get("client_ip") or ""), 45),
            ehlo_name=storable(str(envelope.get("ehlo_name") or ""), 255), origin=Origin.COMMAND, priority=priority,
            envid=envid, ret=ret, smtputf8=bool(envelope.get("smtputf8")), eight_bit=bool(envelope.get("eight_bit")),
        ),
        content=content, file_name=file_name,
    )  # fmt: skip


def accept_sender(address: str) -> None:
    """Raises ValueError when it is no address."""
    from accounts.addresses import split_address

    split_address(address)
