"""Readers of files and of the environment, and writers of lines that stay lines."""

from __future__ import annotations

import io
import json
from itertools import islice
from typing import Any

from accounts.passwords import schemes
from accounts.transfer import columns
from accounts.transfer import files as account_files
from base import csv_cells
from mailspool.backup import manifest
from mailspool.backup.errors import BackupError
from mailspool.environment import reader
from mailspool.environment.variables import VARIABLES
from spool.events import line
from spool.transfer import envelopes, postcat
from tests.fuzz.target import Target

_MOST_ROWS = 2_000


def read_accounts(data: bytes) -> None:
    """A file of accounts, in all forms, down to the rows."""
    for read in account_files.FORMATS.values():
        try:
            for raw in islice(read(io.BytesIO(data)), _MOST_ROWS):
                try:
                    row = columns.understood(raw.line, columns.kind_of(raw.given.get("kind"), "user"), raw.given)
                    if password := row.more.get("password"):
                        schemes.read(password)
                except (columns.BadRow, schemes.BadHash) as error:
                    str(error).encode("utf-8", "surrogateescape")
        except account_files.BadFile as error:
            str(error).encode("utf-8", "surrogateescape")
    text = data.decode("utf-8", "replace")
    assert csv_cells.unescaped(csv_cells.escaped(text)) == text


def read_hash(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        stored = schemes.read(text)
    except schemes.BadHash as error:
        assert len(text) < 40 or text not in str(error)
        return
    if stored is not None and not stored.is_plain:
        assert schemes.read(schemes.written(stored.text)) == stored


def read_envelope(data: bytes) -> None:
    """The JSON beside a message, and Postfix's own form."""
    try:
        envelopes.read(json.loads(data))
    except (envelopes.Unreadable, ValueError, RecursionError):
        # No JSON at all is told by whoever reads the file.
        pass
    try:
        envelope, content = postcat.read(data)
    except envelopes.Unreadable as error:
        str(error).encode()
        return
    assert b"\n" not in content.replace(b"\r\n", b"")
    envelope.client_ip.encode()
    assert "\n" not in envelope.client_ip


def read_manifest(data: bytes) -> None:
    source = io.BytesIO(data)
    try:
        manifest.read_header(source)
        for file in manifest.read_files(source):
            assert ".." not in file.path.split("/")
            assert not file.path.startswith("/")
    except BackupError as error:
        str(error).encode("utf-8", "surrogateescape")


def read_environment(data: bytes) -> None:
    """`NAME=value` in each line; a name without value gets all that stands in the last line."""
    given: dict[str, str] = {}
    text = data.decode("utf-8", "surrogateescape").replace("\0", "")
    for number, part in enumerate(text.split("\n")):
        name, equals, value = part.partition("=")
        given[name if equals else VARIABLES[number % len(VARIABLES)].name] = value if equals else part
    try:
        reader.read(given)
    except reader.WrongEnvironment as error:
        for sentence in error.sentences:
            assert "\n" not in sentence


def write_line(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    fields: dict[str, Any] = {"from": text, "reply": text[::-1], "n": len(text), "delay": len(text) / 3, "text": text}
    for said in (line.as_text(fields), line.as_text({"to": text[:300], "n": 1}), line.escaped(text)):
        assert said.isprintable()
        said.encode()
    assert len(line.as_text(fields).encode()) <= line.LONGEST_LINE_BYTES
    written = line.as_json(fields)
    assert written.isascii()
    assert written.isprintable()
    assert len(written) <= line.LONGEST_LINE_BYTES
    json.loads(written)
    for one in line.lines_of(text):
        assert one.startswith("\t")
        assert one[1:].isprintable()


TARGETS = (
    Target("accounts", read_accounts),
    Target("hash", read_hash, longest=4 * 1024),
    Target("envelope", read_envelope),
    Target("manifest", read_manifest),
    Target("environment", read_environment, longest=32 * 1024),
    Target("line", write_line),
)
