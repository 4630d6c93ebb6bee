"""Export: messages as .eml files in a zip or as an mbox, their rows as CSV or JSON; streamed, of any number."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from spool.actions import audit
from spool.actions.actor import Actor
from spool.actions.selection import Selection
from spool.actions.verb import Refused, Tally
from spool.filters import SpoolFilter
from spool.models.entry import Entry
from spool.models.recipient import Recipient
from spool.store import path_of

CHUNK = 500
COLUMNS = (
    "file_name", "subspool", "sender", "recipients", "recipients_done", "recipients_total", "size_bytes", "attempts",
    "created", "priority", "status", "next_attempt", "direction", "subject", "message_id", "client_ip", "ehlo_name",
    "auth_user", "hold", "hold_reason", "last_error",
)  # fmt: skip
# A spreadsheet takes a cell that begins with one of these for a formula (OWASP: CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_FROM_LINE = re.compile(rb"^(>*From )", re.MULTILINE)


def export(what: SpoolFilter | Iterable[int] | Selection, form: str, actor: Actor) -> Iterator[bytes]:
    """The bytes of the export, piece by piece. Raises NotAllowed and Refused, at once.

    It is a look, and a copy of people's mail: it is written down too.
    """
    actor.require_actions()
    if form not in FORMATS:
        raise Refused(f"{form!r} is not a format; there are {', '.join(FORMATS)}.")
    selection = Selection.of(what)
    chosen = selection.filter.to_json() if selection.filter is not None else {}
    event = audit.begin(actor, "export", selection.sentence(), chosen=chosen, parameters={"format": form})
    return _counted(FORMATS[form][0], selection, event)


def _counted(writer: Callable[[Iterator[Entry]], Iterator[bytes]], selection: Selection, event: Any) -> Iterator[bytes]:
    seen = 0

    def entries() -> Iterator[Entry]:
        nonlocal seen
        for entry in _entries(selection):
            seen += 1
            yield entry

    try:
        yield from writer(entries())
    finally:
        audit.end(event, Tally(seen), "exported")


def _entries(selection: Selection) -> Iterator[Entry]:
    last = Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    for ids in selection.chunks(0, last, CHUNK):
        yield from Entry.objects.filter(id__in=ids).defer("traceback").order_by("id")


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


def _zip(entries: Iterator[Entry]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for entry in entries:
            content = _content(entry)
            if content is None:
                continue
            info = zipfile.ZipInfo(entry.file_name, entry.created.timetuple()[:6])
            info.external_attr = 0o600 << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
            yield pipe.take()
    yield pipe.take()


def _mbox(entries: Iterator[Entry]) -> Iterator[bytes]:
    """The mboxrd form (RFC 4155): lines that look like a separator are quoted, and can be unquoted."""
    for entry in entries:
        content = _content(entry)
        if content is None:
            continue
        text = _FROM_LINE.sub(rb">\1", content.replace(b"\r\n", b"\n"))
        sender = "".join(entry.sender.split()) or "MAILER-DAEMON"
        created = entry.created.astimezone(UTC)
        yield f"From {sender} {created:%a %b} {created.day:2} {created:%H:%M:%S %Y}\n".encode()
        yield text if text.endswith(b"\n") else text + b"\n"
        yield b"\n"


def _csv(entries: Iterator[Entry]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in _rows(entries):
        writer.writerow([_cell(row[name]) for name in COLUMNS])
        if text.tell() > 64 * 1024:
            yield text.getvalue().encode("utf-8", "replace")
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode("utf-8", "replace")


def _json(entries: Iterator[Entry]) -> Iterator[bytes]:
    before = b"[\n"
    for row in _rows(entries):
        yield before + json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _cell(value: Any) -> Any:
    text = " ".join(value) if isinstance(value, list) else value
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text


def _rows(entries: Iterator[Entry]) -> Iterator[dict[str, Any]]:
    """Rows with their recipients, two queries for many entries."""
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == CHUNK:
            yield from _with_recipients(batch)
            batch = []
    yield from _with_recipients(batch)


def _with_recipients(batch: list[Entry]) -> Iterator[dict[str, Any]]:
    recipients: dict[int, list[str]] = {}
    of_these = Recipient.objects.filter(entry_id__in=[entry.id for entry in batch]).order_by("id")
    for entry_id, address in of_these.values_list("entry_id", "address"):
        recipients.setdefault(entry_id, []).append(address)
    for entry in batch:
        row = {name: getattr(entry, name) for name in COLUMNS if name != "recipients"}
        row |= {
            "recipients": recipients.get(entry.id, []), "priority": entry.get_priority_display(),
            "status": entry.get_status_display(), "direction": entry.get_direction_display(),
        }  # fmt: skip
        yield {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}


def _content(entry: Entry) -> bytes | None:
    """The message, or None when it has left the spool meanwhile."""
    try:
        return path_of(entry.subspool, entry.file_name).read_bytes()
    except FileNotFoundError:
        return None


FORMATS: dict[str, tuple[Callable[[Iterator[Entry]], Iterator[bytes]], str]] = {
    "zip": (_zip, "application/zip"),
    "mbox": (_mbox, "application/mbox"),
    "csv": (_csv, "text/csv; charset=utf-8"),
    "json": (_json, "application/json"),
}
