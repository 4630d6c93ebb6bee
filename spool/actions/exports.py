"""Export: messages as .eml files in a zip or as an mbox, their rows as CSV or JSON; streamed, of any number."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.utils.translation import gettext as _

from base.csv_cells import escaped
from base.languages import in_source
from spool.actions import audit
from spool.actions.actor import Actor
from spool.actions.selection import Selection
from spool.actions.verb import Refused, Tally
from spool.filters import SpoolFilter
from spool.message.held import Source
from spool.models.entry import Entry
from spool.models.recipient import Recipient
from spool.places.contents import sources_of

CHUNK = 500
_PIECE_BYTES = 256 * 1024
_LONGEST_HELD = 1024 * 1024
_FROM_LINE = re.compile(rb"^(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Exported:
    """What can be exported: the name of that action in the audit, and how its rows are found.

    `fetch` gives the objects of some ids, `rows` their columns by name, `columns` their order, `sources` where
    the message of each is read from, and `formats` those of FORMATS that it may leave in.
    """

    action: str
    columns: tuple[str, ...]
    fetch: Callable[[list[int]], list[Any]]
    rows: Callable[[list[Any]], Iterable[dict[str, Any]]]
    sources: Callable[[list[Any]], Iterable[Source]]
    formats: tuple[str, ...] = ("zip", "mbox", "csv", "json")


def export(what: SpoolFilter | Iterable[int] | Selection, form: str, actor: Actor) -> Iterator[bytes]:
    """The bytes of the export, piece by piece. Raises NotAllowed and Refused, at once.

    It is a look, and a copy of people's mail: it is written down too.
    """
    return export_of(ENTRIES, Selection.of(what), form, actor)


def export_of(subject: Exported, selection: Selection, form: str, actor: Actor) -> Iterator[bytes]:
    """The same for what else there is to export."""
    actor.require_actions()
    if form not in subject.formats:
        raise Refused(
            _("%(form)s is not a format of this list; there are %(formats)s.")
            % {"form": repr(form), "formats": ", ".join(subject.formats)}
        )
    chosen = selection.filter.to_json() if selection.filter is not None else {}
    event = audit.begin(
        actor, subject.action, in_source(selection.sentence), chosen=chosen, parameters={"format": form}
    )
    return _counted(FORMATS[form][0], subject, selection, event)


def _counted(writer: Writer, subject: Exported, selection: Selection, event: Any) -> Iterator[bytes]:
    seen = 0

    def batches() -> Iterator[list[Any]]:
        nonlocal seen
        for ids in selection.chunks(0, selection.last_id(), CHUNK):
            batch = subject.fetch(ids)
            seen += len(batch)
            yield batch

    try:
        yield from writer(subject, batches())
    finally:
        audit.end(event, Tally(seen))


class _Pipe(io.RawIOBase):
    """What zipfile writes to: it can't be sought, and is emptied after each file."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _zip(subject: Exported, batches: Iterator[list[Any]]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for one, pieces in _contents(subject, batches):
            info = zipfile.ZipInfo(one.file_name, one.created.timetuple()[:6])
            info.external_attr = 0o600 << 16
            # How it learns that the sizes need more digits.
            info.file_size = one.size_bytes
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w") as member:
                for piece in pieces:
                    member.write(piece)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()


def _mbox(subject: Exported, batches: Iterator[list[Any]]) -> Iterator[bytes]:
    """The mboxrd form (RFC 4155): lines that look like a separator are quoted, and can be unquoted."""
    for one, pieces in _contents(subject, batches):
        sender = "".join(one.sender.split()) or "MAILER-DAEMON"
        created = one.created.astimezone(UTC)
        yield f"From {sender} {created:%a %b} {created.day:2} {created:%H:%M:%S %Y}\n".encode()
        last = b""
        for text in _quoted(pieces):
            yield text
            last = text
        yield b"\n" if last.endswith(b"\n") else b"\n\n"


def _quoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A message with LF line ends and with its separator-like lines quoted; of a long line a part at a time."""
    held, begins = b"", True
    for piece in pieces:
        text = held + piece
        cut = text.rfind(b"\n") + 1
        if not cut and len(text) > _LONGEST_HELD:
            # Not between CR and LF.
            cut = len(text) - text.endswith(b"\r")
        if cut:
            yield _with_marks(text[:cut], begins)
            begins = text[cut - 1 : cut] == b"\n"
        held = text[cut:]
    if held:
        yield _with_marks(held, begins)


def _with_marks(text: bytes, begins: bool) -> bytes:
    text = text.replace(b"\r\n", b"\n")
    # What goes on with a line is no line's beginning.
    return _FROM_LINE.sub(rb">\1", text) if begins else _FROM_LINE.sub(rb">\1", b"x" + text)[1:]


def _csv(subject: Exported, batches: Iterator[list[Any]]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(subject.columns)
    for batch in batches:
        for row in subject.rows(batch):
            writer.writerow([_cell(_plain(row[name])) for name in subject.columns])
        yield text.getvalue().encode("utf-8", "replace")
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode("utf-8", "replace")


def _json(subject: Exported, batches: Iterator[list[Any]]) -> Iterator[bytes]:
    before = b"[\n"
    for batch in batches:
        for row in subject.rows(batch):
            plain = {name: _plain(row[name]) for name in subject.columns}
            yield before + json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace")
            before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> Any:
    text = " ".join(value) if isinstance(value, list) else value
    return escaped(text) if isinstance(text, str) else text


def _contents(subject: Exported, batches: Iterator[list[Any]]) -> Iterator[tuple[Any, Iterator[bytes]]]:
    """The messages with their bytes, a piece at a time, without those that have left meanwhile."""
    for batch in batches:
        for one, source in zip(batch, subject.sources(batch), strict=True):
            try:
                file = source.open("rb")
            except FileNotFoundError:
                continue
            with file:
                yield one, iter(partial(file.read, _PIECE_BYTES), b"")


def _entries(ids: list[int]) -> list[Entry]:
    return list(Entry.objects.filter(id__in=ids).defer("traceback").order_by("id"))


def _rows(batch: list[Entry]) -> Iterator[dict[str, Any]]:
    """With their recipients, by one query."""
    recipients: dict[int, list[str]] = {}
    of_these = Recipient.objects.filter(entry_id__in=[entry.id for entry in batch]).order_by("id")
    for entry_id, address in of_these.values_list("entry_id", "address"):
        recipients.setdefault(entry_id, []).append(address)
    for entry in batch:
        yield {
            **{name: getattr(entry, name) for name in ENTRIES.columns if name != "recipients"},
            "recipients": recipients.get(entry.id, []),
            "priority": entry.get_priority_display(),
            "status": entry.get_status_display(),
            "direction": entry.get_direction_display(),
        }


ENTRIES = Exported(
    "export",
    (
        "file_name",
        "subspool",
        "sender",
        "recipients",
        "recipients_done",
        "recipients_total",
        "size_bytes",
        "attempts",
        "created",
        "priority",
        "status",
        "next_attempt",
        "direction",
        "subject",
        "message_id",
        "client_ip",
        "ehlo_name",
        "auth_user",
        "hold",
        "hold_reason",
        "last_error",
    ),
    _entries,
    _rows,
    sources_of,
)
Writer = Callable[[Exported, Iterator[list[Any]]], Iterator[bytes]]
FORMATS: dict[str, tuple[Writer, str]] = {
    "zip": (_zip, "application/zip"),
    "mbox": (_mbox, "application/mbox"),
    "csv": (_csv, "text/csv; charset=utf-8"),
    "json": (_json, "application/json"),
}
