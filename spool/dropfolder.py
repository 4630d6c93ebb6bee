"""The drop folder: an .eml moved into `<home>/drop/` enters the spool.

A file is claimed by renaming it to the name that its entry will have; so a crash between taking it in and removing it
can be told from one before: at the next look, a claimed file whose entry or trace exists is just removed.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from email.errors import MessageError
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import formatdate, getaddresses
from pathlib import Path

from django.conf import settings as django_settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from accounts.addresses import InvalidAddress, split_address
from spool import intake, store
from spool.addressing import RefusedRecipient, accept_many
from spool.envelope import Envelope, EnvelopeRecipient, Submission
from spool.headers import header_block
from spool.models.entry import Entry, Origin
from spool.models.settings import current
from spool.models.trace import Trace

log = logging.getLogger(__name__)

BATCH = 100
POLL_SECONDS = 1.0
# A file that still grows is being copied, not moved: it is left until it has been quiet for this long.
QUIET_SECONDS = 0.5
_WORKING = ".working"
_REJECTED = "rejected"
_STRIPPED = frozenset({b"bcc", b"x-sender", b"x-receiver", b"return-path"})


class Unreadable(Exception):
    """The file can't become a message; the text says why."""


def watch(stop: threading.Event) -> None:
    """Take in what is dropped until `stop`. For a thread of its own."""
    while not stop.wait(POLL_SECONDS):
        try:
            close_old_connections()
            while take() == BATCH:
                pass
        except (intake.IntakeError, DatabaseError, OSError) as error:
            log.warning("the drop folder has to wait: %s", error)


def take() -> int:
    """One look: claim up to BATCH files and take them in; returns how many were dealt with.

    Raises IntakeError, OSError or django.db.Error when they can't be stored now; then they stay for the next look.
    """
    drop: Path = django_settings.HOME.drop
    working, rejected = drop / _WORKING, drop / _REJECTED
    for folder in (working, rejected):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    claimed = _forget_finished(sorted(working.iterdir()))
    for path in _dropped(drop)[: BATCH - len(claimed)]:
        if path.is_symlink() or not path.is_file():
            _reject(path, path.name, "it is not a regular file", rejected)
            continue
        place = working / f"{store.new_file_names(1)[0].removesuffix('.eml')}~{path.name}"
        path.rename(place)
        claimed.append(place)
    submissions, taken = [], []
    for place in claimed:
        name, _, original = place.name.partition("~")
        try:
            submission = _submission(place.read_bytes())
        except Unreadable as error:
            _reject(place, original, str(error), rejected)
            continue
        submission.file_name = f"{name}.eml"
        submissions.append(submission)
        taken.append(place)
    intake.accept(submissions)
    for place in taken:
        place.unlink()
    return len(claimed)


def _dropped(drop: Path) -> list[Path]:
    """Files to take, oldest first."""
    quiet = time.time() - QUIET_SECONDS
    found = []
    for path in drop.iterdir():
        if path.suffix.lower() == ".eml" and not path.name.startswith("."):
            changed = path.lstat().st_mtime
            if changed <= quiet:
                found.append((changed, path))
    return [path for _, path in sorted(found)]


def _forget_finished(claimed: list[Path]) -> list[Path]:
    """After a crash: remove claimed files that have become entries, return the others."""
    if not claimed:
        return []
    names = {f"{path.name.partition('~')[0]}.eml": path for path in claimed}
    finished = set(Entry.objects.filter(file_name__in=names).values_list("file_name", flat=True))
    finished |= set(Trace.objects.filter(file_name__in=names).values_list("file_name", flat=True))
    for name in finished:
        names.pop(name).unlink()
    return list(names.values())


def _reject(path: Path, name: str, reason: str, rejected: Path) -> None:
    """Set a file aside with its reason beside it."""
    target = rejected / name
    if target.exists() or target.is_symlink():
        target = rejected / f"{secrets.token_hex(4)}-{name}"
    target.with_name(f"{target.name}.reason.txt").write_text(f"{name} was not taken into the spool: {reason}\n")
    path.rename(target)
    log.warning("drop folder: %s set aside: %s", name, reason)


def _submission(raw: bytes) -> Submission:
    """A dropped file as a message. Raises Unreadable."""
    if not raw.strip():
        raise Unreadable("it is empty")
    if b"\0" in raw:
        raise Unreadable("it has NUL bytes")
    if len(raw) > current().max_message_bytes:
        raise Unreadable(f"it is larger than the limit of {current().max_message_bytes} bytes")
    content = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    try:
        headers = BytesHeaderParser(policy=SMTP.clone(utf8=True)).parsebytes(header_block(content))
        if not headers.keys():
            raise Unreadable("it does not begin with header lines")
        sender, recipients = _addresses(headers)
    except (MessageError, ValueError, IndexError, AttributeError) as error:
        raise Unreadable(f"its header can't be read: {error}") from error
    resolved: dict[str, EnvelopeRecipient] = {}
    refused = []
    for answer in accept_many(recipients).values():
        if isinstance(answer, RefusedRecipient):
            refused.append(answer.reply)
        else:
            resolved.update((recipient.address, recipient) for recipient in answer)
    if not resolved:
        raise Unreadable("; ".join(refused) or "it names no recipient")
    if refused:
        log.warning("drop folder: some recipients were left out: %s", "; ".join(refused))
    utf8 = not all(address.isascii() for address in (sender, *resolved))
    envelope = Envelope(sender, list(resolved.values()), origin=Origin.DROP, smtputf8=utf8)
    return Submission(envelope, _traced(content, headers))


def _addresses(headers: Message) -> tuple[str, list[str]]:
    """Reverse-path and forward-paths: X-Sender and X-Receiver where present, else the message's own fields."""
    senders = headers.get_all("X-Sender") or headers.get_all("Return-Path") or headers.get_all("From") or []
    receivers = headers.get_all("X-Receiver") or [
        *headers.get_all("To", []), *headers.get_all("Cc", []), *headers.get_all("Bcc", [])
    ]  # fmt: skip
    sender = next((address for _, address in getaddresses([str(s) for s in senders]) if address), "")
    recipients = [address for _, address in getaddresses([str(r) for r in receivers]) if address]
    try:
        if sender:
            sender = "@".join(split_address(sender))
        for address in recipients:
            split_address(address)
    except InvalidAddress as error:
        raise Unreadable(str(error)) from error
    return sender, recipients


def _traced(content: bytes, headers: Message) -> bytes:
    """The message without its envelope fields, with a Received line and what else it must have."""
    hostname = django_settings.MAILSPOOL_HOSTNAME
    date = formatdate(localtime=True)
    added = f"Received: by {hostname} (Mailspool) with local (drop folder) id {secrets.token_hex(8)};\r\n\t{date}\r\n"
    if "Date" not in headers:
        added += f"Date: {date}\r\n"
    if "Message-ID" not in headers:
        added += f"Message-ID: <{secrets.token_hex(16)}@{hostname}>\r\n"
    block = header_block(content)
    kept, dropping = [], False
    for line in block.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            dropping = line.partition(b":")[0].strip().lower() in _STRIPPED
        if not dropping:
            kept.append(line)
    return added.encode() + b"".join(kept) + content[len(block) :]
