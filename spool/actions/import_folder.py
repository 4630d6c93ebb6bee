"""Import: messages with their envelopes, from a folder of files, become entries of the spool.

Each gets a file name that follows from its own name and bytes. So an import that was killed takes nothing twice when it
is run again, also when what it took has been delivered meanwhile: for as long as the trace remembers that.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings as django_settings
from django.db import Error as DatabaseError

from base.file_locks import try_lock
from spool.actions import audit, folders
from spool.actions.actor import Actor
from spool.actions.verb import Refused, Tally
from spool.addressing import RefusedRecipient, accept_many
from spool.dropfolder import dropped
from spool.files import store
from spool.flow import intake
from spool.message.envelope import Submission
from spool.message.summary import storable
from spool.models.settings import current
from spool.places import whereabouts
from spool.transfer import envelopes, postcat
from spool.transfer.envelopes import ReadEnvelope, ReadRecipient, Unreadable
from spool.transfer.submissions import submission_of

log = logging.getLogger(__name__)

BATCH = 100
# So much of a batch is in memory at once, one message at least.
BATCH_BYTES = 32 * 1024 * 1024
# postcat's records beside the content.
_RECORDS_BYTES = 4 * 1024 * 1024
# After so many messages in a row that can't be stored it is not the messages.
MOST_FAILURES = 3
TAKEN, KNOWN, NOBODY, REFUSED = "taken", "known", "delivered", "refused"

_OWN_NAME = re.compile(r"[0-9a-hjkmnp-tv-z]{26}\.eml")
_LONE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a file, or would: taken; known (it is here, or was); delivered (nobody waits); refused."""

    name: str
    fate: str
    why: str = ""
    file_name: str = ""
    recipients: int = 0


@dataclass(slots=True)
class _Message:
    """A file that was read; `digest` is over all that it and its envelope say."""

    name: str
    envelope: ReadEnvelope
    content: bytes
    digest: bytes


def import_folder(
    path: Path, actor: Actor, *, hold: str = "", move: bool = False, dry_run: bool = False
) -> Iterator[Fate]:
    """Take in what is in the folder at `path`; the fate of each file. Raises NotAllowed and Refused.

    A message is an `.eml` with the JSON of its envelope beside it, or with X-Sender and X-Receiver fields; or a
    `.postcat`. With `hold`, the reason, all are put on hold; with `move` the files of those that are safe are removed.
    """
    actor.require_actions()
    return _imported(path, actor, hold, move, dry_run)


def _imported(path: Path, actor: Actor, hold: str, move: bool, dry_run: bool) -> Iterator[Fate]:
    with _alone(path) as folder:
        event = None if dry_run else audit.begin(actor, "import", f"the messages in {path}", parameters={"hold": hold})
        tally = Tally()
        try:
            for batch in _batches(folder, sorted(filter(_is_message, folders.listing(folder)))):
                for fate in _done(batch, hold, dry_run):
                    tally += Tally(int(fate.fate == TAKEN), 0, int(fate.fate != TAKEN), fate.why)
                    if move and not dry_run and fate.fate in (TAKEN, KNOWN, NOBODY):
                        folders.remove(folder, fate.name, f"{Path(fate.name).stem}.json")
                    yield fate
        finally:
            if event is not None:
                audit.end(event, tally)


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """The folder, which no other import takes from meanwhile."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}.") from error
    try:
        if not try_lock(folder):
            raise Refused(f"Another import takes messages from {path} at this moment.")
        yield folder
    finally:
        os.close(folder)


def _is_message(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in (".eml", ".postcat")


def _batches(folder: int, names: Sequence[str]) -> Iterator[list[_Message | Fate]]:
    """The files as messages, so many at a time as memory may hold."""
    batch: list[_Message | Fate] = []
    size = 0
    for name in names:
        read = _read_or_refused(folder, name)
        batch.append(read)
        size += len(read.content) if isinstance(read, _Message) else 0
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read_or_refused(folder: int, name: str) -> _Message | Fate:
    try:
        return _read(folder, name)
    except (Unreadable, dropped.Unreadable, Refused) as error:
        return Fate(name, REFUSED, str(error))
    except DatabaseError:
        raise
    except Exception as error:  # one file on which the program fails must not stop those behind it
        log.exception("a file of an import could not be read")
        return Fate(name, REFUSED, f"the program failed on it: {storable(repr(error), 300)}")


def _read(folder: int, name: str) -> _Message:
    """Raises Unreadable and Refused."""
    limit = current().max_message_bytes
    if Path(name).suffix.lower() == ".postcat":
        text = folders.read(folder, name, limit + _RECORDS_BYTES)
        return _checked(_Message(name, *postcat.read(text), _digest(name, text)), limit)
    raw = folders.read(folder, name, limit)
    beside = f"{Path(name).stem}.json"
    if _is_there(folder, beside):
        given = folders.read_json(folder, beside)
        envelope, content = envelopes.read(given), raw
        digest = _digest(name, raw, repr(given).encode("utf-8", "surrogatepass"))
    else:
        addressed = dropped.addressed(raw, "import")
        if not addressed.is_named:
            raise Unreadable(f"it has no envelope: neither {storable(beside)} nor X-Sender and X-Receiver fields")
        if addressed.doubts:
            raise Unreadable(f"its recipients are not certain: {'; '.join(addressed.doubts)}")
        envelope = ReadEnvelope(addressed.sender, [ReadRecipient(address) for address in addressed.recipients])
        envelope.smtputf8 = not all(address.isascii() for address in (addressed.sender, *addressed.recipients))
        content, digest = addressed.content, _digest(name, raw)
    return _checked(_Message(name, envelope, content, digest), limit)


def _checked(message: _Message, limit: int) -> _Message:
    if not message.content.strip() or b"\0" in message.content:
        raise Unreadable("it is empty, or has NUL bytes")
    if _LONE_END.search(message.content):
        message.content = re.sub(rb"\r\n|\r|\n", b"\r\n", message.content)
    if len(message.content) > limit + _RECORDS_BYTES:
        raise Unreadable(f"it is larger than the limit of {limit} bytes")
    return message


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _digest(name: str, *parts: bytes) -> bytes:
    digest = hashlib.sha256(os.fsencode(name))
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _file_name(message: _Message) -> str:
    """A Mailspool's own name is kept; another follows from all that the files say, and sorts by the message's age."""
    if _OWN_NAME.fullmatch(message.name):
        return message.name
    moment = message.envelope.created or datetime.fromtimestamp(0, UTC)
    return store.file_name_of(int(moment.timestamp() * 1000), message.digest[:10])


def _done(batch: Sequence[_Message | Fate], hold: str, dry_run: bool) -> Iterator[Fate]:
    messages = [one for one in batch if isinstance(one, _Message)]
    names = {id(message): _file_name(message) for message in messages}
    known = whereabouts.known(list(names.values())) if names else set()
    kept = whereabouts.sizes(known) if known else {}
    # So that each is found in the directory's memory below.
    accept_many(one.address for message in messages for one in message.envelope.recipients if one.address.isprintable())
    fates: dict[int, Fate] = {}
    ready: list[tuple[_Message, Submission]] = []
    for message in messages:
        file_name = names[id(message)]
        if file_name in known:
            fates[id(message)] = _known(message, file_name, kept.get(file_name))
        elif not message.envelope.recipients:
            fates[id(message)] = Fate(message.name, NOBODY, "nobody waits for it any more")
        else:
            made = _submission(message, file_name, hold)
            if isinstance(made, Fate):
                fates[id(message)] = made
            else:
                ready.append((message, made))
    if not dry_run:
        fates |= _stored(ready)
    for message, submission in ready:
        taken = Fate(message.name, TAKEN, "", submission.file_name, len(submission.envelope.recipients))
        fates.setdefault(id(message), taken)
    return (one if isinstance(one, Fate) else fates[id(one)] for one in batch)


def _known(message: _Message, file_name: str, size: int | None) -> Fate:
    if size is not None and size != len(message.content):
        return Fate(message.name, REFUSED, "another message of that name is here")
    return Fate(
        message.name, KNOWN, "it is here already" if size is not None else "it was here, and has left", file_name
    )


def _submission(message: _Message, file_name: str, hold: str) -> Submission | Fate:
    envelope = message.envelope
    created = envelope.created or datetime.now(UTC)
    try:
        return submission_of(envelope, message.content, file_name, created=created, hold=hold or envelope.hold)
    except RefusedRecipient as error:
        return Fate(message.name, REFUSED, storable(error.reply, 500))


def _stored(ready: Sequence[tuple[_Message, Submission]]) -> dict[int, Fate]:
    """Make them durable; the fates of those for which that failed. Raises Refused when it fails for all."""
    try:
        intake.accept([submission for _, submission in ready])
        return {}
    except intake.SpoolFull as error:
        raise Refused("The disk of the spool is full. Make room and import again: what was taken is known.") from error
    except intake.IntakeError as error:
        if len(ready) == 1:
            log.warning("the import of %s failed", storable(ready[0][0].name))
        failed: dict[int, Fate] = {}
        in_a_row = 0
        for message, submission in ready:
            try:
                intake.accept([submission])
                in_a_row = 0
            except intake.IntakeError:
                in_a_row += 1
                failed[id(message)] = Fate(message.name, REFUSED, "it could not be stored; the log says why")
            if in_a_row >= MOST_FAILURES:
                raise Refused("The spool can't store messages now; the log says why. Import again later.") from error
        return failed


def default_reason() -> str:
    """Why messages are on hold after an import that was told so."""
    return f"Imported on {django_settings.MAILSPOOL_HOSTNAME}, {datetime.now(UTC):%Y-%m-%d}"
