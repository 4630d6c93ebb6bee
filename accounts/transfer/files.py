"""The rows of a file as it has them, one at a time: CSV, JSON, or Dovecot's passwd-file. Nothing is judged here."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from accounts.transfer.columns import COLUMNS
from base.csv_cells import unescaped

LONGEST_CELL = 4 * 1024 * 1024
_PIECE = 256 * 1024


class BadFile(Exception):
    """The file can't be read on; the text says why and where."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A row as the file has it; `problem` says why it is none. `line` is where it begins (JSON) or ends (CSV)."""

    line: int
    given: Mapping[str, Any]
    problem: str = ""


def read_csv(file: BinaryIO) -> Iterator[Raw]:
    """Rows under a line of column names; comma, semicolon or tab between them. An empty cell says nothing."""
    lines = _lines(file)
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    header = _header(first, delimiter)
    if unknown := [name for name in header if name not in COLUMNS]:
        shown = ", ".join(repr(name[:40]) for name in unknown[:5])
        raise BadFile(f"The first line names columns that there aren't: {shown}. There are: {', '.join(COLUMNS)}.")
    if "address" not in header or len(set(header)) != len(header):
        raise BadFile("The first line must name the columns, each once, and one of them is address.")
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadFile(f"Line {reader.line_num + 1}: {error}.") from error
        if not any(cells):
            continue
        given = {name: unescaped(cell) for name, cell in zip(header, cells, strict=False) if cell}
        problem = f"it has {len(cells)} cells under {len(header)} columns" if len(cells) > len(header) else ""
        yield Raw(reader.line_num + 1, given, problem)


def _header(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error as error:
        raise BadFile(f"Line 1: {error}.") from error


def read_json(file: BinaryIO) -> Iterator[Raw]:
    """Objects in an array, or one after the other (JSON Lines), however many: only one is in memory at a time."""
    decoder = json.JSONDecoder()
    text, line, ended = "", 1, False
    pieces = _pieces(file)
    while True:
        start = len(text) - len(text.lstrip(" \t\r\n,[]\ufeff"))
        line += text.count("\n", 0, start)
        text = text[start:]
        value, end = None, 0
        if text:
            try:
                value, end = decoder.raw_decode(text)
            except (ValueError, RecursionError) as error:
                # What is no JSON yet may be the beginning of some.
                if ended or len(text) > LONGEST_CELL or not isinstance(error, json.JSONDecodeError):
                    raise BadFile(f"Line {line}: what begins there is no JSON object, or too long.") from error
        # A number may go on in what is not read yet; anything else has its own end.
        if end and (ended or isinstance(value, dict)):
            if isinstance(value, dict):
                yield Raw(line, {str(name): one for name, one in value.items()})
            else:
                yield Raw(line, {}, "it is not an object with the row's columns")
            line += text.count("\n", 0, end)
            text = text[end:]
        elif ended:
            return
        else:
            # As much again as is there: a long object is not looked at too often.
            wanted = len(text) + 1
            while not ended and wanted > 0:
                piece = next(pieces, "")
                ended = not piece
                text += piece
                wanted -= len(piece)


def read_passwd(file: BinaryIO) -> Iterator[Raw]:
    """Users as Dovecot's passwd-file has them: `user:{SCHEME}hash:uid:gid:name:home:shell:extra fields`."""
    for line, written in enumerate(_lines(file), 1):
        text = written.strip("\r\n")
        if not text.strip() or text.startswith("#"):
            continue
        fields = [*text.split(":", 7), *[""] * 7]
        given: dict[str, Any] = {"address": fields[0], "password": fields[1] or "!"}
        if fields[4]:
            given["name"] = fields[4]
        if quota := _QUOTA.search(fields[7]):
            given["mailbox_mb"] = max(1, int(quota[1]) * _UNITS[quota[2].upper()] // 1024)
        if _NO_LOGIN.search(fields[7]):
            given["status"] = "receiving"
        yield Raw(line, given)


# In KB; Dovecot's `storage` is in KB without a unit.
_UNITS = {"": 1, "K": 1, "M": 1024, "G": 1024**2, "T": 1024**3}
_QUOTA = re.compile(r"quota_rule=\*:storage=(\d{1,12})([kKmMgGtT]?)")
_NO_LOGIN = re.compile(r"(?:^|\s)nologin(?:=y\w*)?(?:\s|$)")

FORMATS: Mapping[str, Callable[[BinaryIO], Iterator[Raw]]] = {
    "csv": read_csv,
    "json": read_json,
    "passwd": read_passwd,
}


def _lines(file: BinaryIO) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST_CELL + 1):
        number += 1
        if len(line) > LONGEST_CELL:
            raise BadFile(f"Line {number} is longer than {LONGEST_CELL:,} bytes.")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise BadFile(f"Line {number} is not UTF-8.") from error


def _pieces(file: BinaryIO) -> Iterator[str]:
    """The text of a file, some whole lines or a part of a long one at a time."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(_PIECE):
            if text := decoder.decode(piece):
                yield text
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise BadFile("The file is not UTF-8.") from error
