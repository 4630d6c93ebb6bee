"""What hosts and mailboxes have answered, noted at once in a file of the pass, until the database has it.

Outcomes wait for a commit, which a worker that is killed never comes to: whom it had delivered to would get the message
again. So each answer is also one write(2) to a file, which is not synced: it survives the death of the process, though
not of the machine. Whoever takes over what a dead pass held reads its files first (spool.flow.takeover).

A line is a keyed checksum and a JSON list. The key is made of the installation's secret and of the pass's own name,
which is the owner of its leases: a line that was torn, spoilt, made by others or copied from another file is none.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from base import clock
from base.file_locks import try_lock
from spool.message.envelope import AttemptRecord, LeasedEntry, LeasedRecipient, RecipientResult
from spool.models.recipient import Outcome
from spool.rows.journal import LONGEST_REPLY

log = logging.getLogger(__name__)

# From this size on a file is emptied as soon as everything in it is recorded, or else gives way to a new one.
LARGE_BYTES: Final = 256 * 1024
# No more of a file is read than our own can have: its last line may have been a long one.
MOST_BYTES: Final = 4 * LARGE_BYTES
# A pass that is there has its answers recorded, or says more, within that; else it may be asleep.
SILENT_SECONDS: Final = 15.0
_SAY_SECONDS: Final = 60.0
_MARK: Final = "mailspool answers 1"
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Answer:
    """Who took a message, and in which transaction. `recipients` are ids."""

    entry_id: int
    file_name: str
    recipients: tuple[int, ...]
    replies: tuple[str, ...]
    status_codes: tuple[str, ...]
    attempt: AttemptRecord
    relayed: bool

    def results_for(self, recipients: Iterable[LeasedRecipient]) -> list[RecipientResult]:
        """What it says of those of `recipients` that it is about."""
        position = {recipient_id: number for number, recipient_id in enumerate(self.recipients)}
        return [
            RecipientResult(
                recipient,
                Outcome.DELIVERED,
                self.replies[position[recipient.id]],
                self.status_codes[position[recipient.id]],
                self.attempt.host,
                relayed=self.relayed,
                answered=bool(self.attempt.ip),
            )
            for recipient in recipients
            if recipient.id in position
        ]


def folder() -> Path:
    root: Path = settings.HOME.answers
    return root


class AnswerFile:
    """The file of one pass; made at its first answer. Loop thread only.

    It never raises: without it mail goes on, and a kill doubles more of it.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._key = _key(owner)
        self._part: _Part | None = None
        self._parts = 0
        # The entries with answers that are not recorded yet, and where those are.
        self._open: dict[int, set[_Part]] = {}
        self._said = -_SAY_SECONDS

    def note(self, entry: LeasedEntry, results: Iterable[RecipientResult], attempt: AttemptRecord) -> None:
        """Write down who of `results` was delivered."""
        self.note_all([(entry, results, attempt)])

    def note_all(self, deliveries: Iterable[tuple[LeasedEntry, Iterable[RecipientResult], AttemptRecord]]) -> None:
        """The same for several at once, in one write."""
        lines: list[bytes] = []
        entries: list[int] = []
        for entry, results, attempt in deliveries:
            taken = [result for result in results if result.outcome is Outcome.DELIVERED]
            if taken:
                lines.append(self._line(_answer(entry, taken, attempt)))
                entries.append(entry.id)
        if not lines:
            return
        try:
            part = self._part_for_more()
            part.write(b"".join(lines))
        except OSError as error:
            if time.monotonic() - self._said >= _SAY_SECONDS:
                self._said = time.monotonic()
                log.warning("answers can't be noted, so that a crash would double more: %s", error)
            return
        for entry_id in entries:
            self._open.setdefault(entry_id, set()).add(part)
            part.open.add(entry_id)

    def recorded(self, entry_ids: Iterable[int]) -> None:
        """The database has what was noted of these."""
        for entry_id in entry_ids:
            for part in self._open.pop(entry_id, ()):
                part.open.discard(entry_id)
                if not part.open and part is not self._part:
                    part.remove()
        if self._part is not None and not self._part.open and self._part.size >= LARGE_BYTES:
            self._empty()

    def rest(self) -> None:
        """Nothing is in work: what is written is of no use to anybody."""
        if self._part is not None and not self._part.open and self._part.size > self._part.head:
            self._empty()

    def close(self) -> None:
        """Remove what is recorded; the rest is for whoever takes over."""
        for part in {self._part, *(part for parts in self._open.values() for part in parts)} - {None}:
            assert part is not None
            if part.open:
                part.close()
            else:
                part.remove()
        self._part = None

    def _line(self, values: Sequence[Any]) -> bytes:
        return _line(self._key, values)

    def _part_for_more(self) -> _Part:
        if self._part is None or self._part.size >= LARGE_BYTES:
            self._parts += 1
            self._part = _Part(f"{self._owner}.{self._parts}", _line(self._key, [_MARK, self._owner, clock.boot()]))
        return self._part

    def _empty(self) -> None:
        assert self._part is not None
        try:
            self._part.empty()
        except OSError as error:
            log.debug("a file of answers could not be emptied: %s", error)


class _Part:
    """An open file, locked as long as its process lives. `open` are entries that it is still needed for."""

    def __init__(self, name: str, head: bytes) -> None:
        place = folder()
        place.mkdir(mode=0o700, exist_ok=True)
        self.path = place / name
        self.head = len(head)
        self.size = 0
        self.open: set[int] = set()
        self._torn = False
        # By its name it is only found when it is locked: it would be taken for one of the dead before.
        draft = place / f".{name}"
        self._descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.write(head)
            draft.rename(self.path)
        except OSError:
            os.close(self._descriptor)
            draft.unlink(missing_ok=True)
            raise

    def write(self, lines: bytes) -> None:
        if self._torn:
            lines = b"\n" + lines
        self._torn = True
        written = os.write(self._descriptor, lines)
        self.size += written
        if written < len(lines):
            raise OSError(f"{self.path.name}: {written} of {len(lines)} bytes could be written")
        self._torn = False

    def empty(self) -> None:
        """Keep the first line only."""
        os.ftruncate(self._descriptor, self.head)
        self.size = self.head

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)


def _answer(entry: LeasedEntry, taken: Sequence[RecipientResult], attempt: AttemptRecord) -> list[Any]:
    return [
        entry.id,
        entry.file_name,
        [result.recipient.id for result in taken],
        [result.reply[:LONGEST_REPLY] for result in taken],
        [result.status_code for result in taken],
        attempt.at.timestamp(),
        attempt.recipients,
        attempt.host,
        attempt.ip,
        attempt.tls,
        attempt.code,
        attempt.reply[:LONGEST_REPLY],
        attempt.seconds,
        attempt.port,
        attempt.connect_seconds,
        attempt.connected,
        taken[0].relayed,
    ]


def _line(key: bytes, values: Sequence[Any]) -> bytes:
    text = _encode(values).encode("ascii")
    return b"%s %s\n" % (_checksum(key, text), text)


def _checksum(key: bytes, text: bytes) -> bytes:
    return hashlib.blake2b(text, key=key, digest_size=16).hexdigest().encode()


def _key(owner: str) -> bytes:
    secret = hashlib.blake2b(settings.SECRET_KEY.encode(), person=b"answers").digest()
    return hashlib.blake2b(owner.encode(), key=secret, digest_size=32).digest()


@dataclass(slots=True)
class Left:
    """A file that some pass has made. `is_dead`: its process has ended, on this very start of the machine.

    As long as this exists the file is locked, if nobody else has it.
    """

    path: Path
    owner: str
    is_dead: bool
    is_free: bool
    answers: list[Answer]
    _descriptor: int

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._descriptor)


def paths(besides: str) -> list[Path]:
    """The files of all passes but `besides`; none when there is no folder."""
    try:
        with os.scandir(folder()) as files:
            return [Path(file.path) for file in files if not file.name.startswith((".", f"{besides}."))]
    except OSError:
        return []


def read(path: Path) -> Left | None:
    """A file with the answers in it that are what they were written as; None when it is gone, or in good hands.

    Raises OSError.
    """
    owner = path.name.rpartition(".")[0]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        is_free, status = try_lock(descriptor), os.fstat(descriptor)
        if not status.st_nlink or not (is_free or time.time() - status.st_mtime > SILENT_SECONDS):
            os.close(descriptor)
            return None
        lines = list(_values(owner, os.read(descriptor, MOST_BYTES)))
        is_ours = bool(lines) and lines[0][:2] == [_MARK, owner]
        same_start = is_ours and lines[0][2] == clock.boot()
        answers = [_parsed(values) for values in lines[1:]] if is_ours else []
        return Left(path, owner, is_free and same_start, is_free, answers, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _values(owner: str, content: bytes) -> Iterator[list[Any]]:
    key = _key(owner)
    for line in content.split(b"\n"):
        checksum, _, text = line.partition(b" ")
        if text and checksum == _checksum(key, text):
            yield json.loads(text)


def _parsed(values: list[Any]) -> Answer:
    (
        entry_id,
        file_name,
        recipients,
        replies,
        status_codes,
        at,
        addresses,
        host,
        ip,
        tls,
        code,
        reply,
        seconds,
        port,
        connect_seconds,
        connected,
        relayed,
    ) = values
    attempt = AttemptRecord(
        datetime.fromtimestamp(at, UTC),
        tuple(addresses),
        host,
        ip,
        tls,
        code,
        reply,
        seconds,
        port,
        connect_seconds,
        connected,
    )
    return Answer(entry_id, file_name, tuple(recipients), tuple(replies), tuple(status_codes), attempt, relayed)
