"""`manage.py account import` and `export`: which file, and how the report is printed."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from accounts import actions
from accounts.actor import Actor
from accounts.management.terminal import as_shown
from accounts.transfer.exporter import export
from accounts.transfer.files import FORMATS, BadFile
from accounts.transfer.importer import ADDED, CHANGED, REFUSED, SAME, Fate, Importer

_ENDINGS = {".csv": "csv", ".json": "json", ".jsonl": "json"}


def take(options: dict[str, Any], out: Any, err: Any) -> None:
    """Import, with a line for each row. Exit status 1 when one is refused. Raises BadFile."""
    name = options["file"]
    form = options["format"] or _ENDINGS.get(Path(name).suffix.lower())
    if form is None:
        raise BadFile(f"{name!r} does not tell its format by its name; give --format csv, json or passwd.")
    importer = Importer(Actor.at_the_shell(), update=options["update"], dry_run=options["dry_run"])
    with _opened(name) as file:
        fates = importer.run(FORMATS[form](file), options["row_kind"], "standard input" if name == "-" else name)
        shown = (fate for fate in fates if fate.fate == REFUSED or not options["quiet"])
        try:
            (_as_json if options["json"] else _as_text)(shown, importer, out, options["dry_run"])
        except BadFile as error:
            raise BadFile(f"{error} What stands before it was done: {_counted(importer)}.") from error
    if importer.dropped is not None and (importer.dropped.total or importer.dropped.problems):
        err.write(importer.dropped.sentence)
    if importer.fates[REFUSED] or not importer.fates:
        sys.exit(1)


def give(options: dict[str, Any], out: Any, err: Any) -> None:
    """Export. Raises BadFile when the file can't be made, NotThere."""
    domain = actions.get_domain(options["domain"]) if options["domain"] else None
    pieces = export(Actor.at_the_shell(), options["format"], domain, passwords=not options["no_passwords"])
    if options["output"] == "-":
        for piece in pieces:
            # Not through the command's own stream, which adds the ends of lines.
            sys.stdout.write(as_shown(piece) if sys.stdout.isatty() else piece)
        return
    path = options["output"]
    try:
        with _new_file(path) as file:
            for piece in pieces:
                file.write(piece)
            size = file.tell()
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}.") from error
    out.write(json.dumps({"file": path, "size_bytes": size}) if options["json"] else f"{size:,} bytes in {path}")


VERBS: Mapping[str, Callable[[dict[str, Any], Any, Any], None]] = {"import": take, "export": give}


def _as_text(fates: Iterator[Fate], importer: Importer, out: Any, dry_run: bool) -> None:
    for fate in fates:
        why = f" ({fate.why})" if fate.why else ""
        out.write(f"line {fate.line}: {fate.kind} {fate.name or '?'}: {fate.fate}{why}")
    out.write(f"{'It would be: ' if dry_run else ''}{_counted(importer)}.")


def _as_json(fates: Iterator[Fate], importer: Importer, out: Any, dry_run: bool) -> None:
    """One object, written as it comes."""
    before = '{"rows": [\n'
    for fate in fates:
        out.write(before + json.dumps(dataclasses.asdict(fate)), ending="")
        before = ",\n"
    totals = {name.replace(" ", "_"): importer.fates[name] for name in (ADDED, CHANGED, SAME, REFUSED)}
    begun = '{"rows": [' if before.startswith("{") else "\n"
    out.write(f'{begun}], "totals": {json.dumps(totals)}, "dry_run": {json.dumps(dry_run)}}}')


def _counted(importer: Importer) -> str:
    return ", ".join(f"{importer.fates[name]:,} {name}" for name in (ADDED, CHANGED, SAME, REFUSED))


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            raise BadFile(f"{name}: {error.strerror}.") from error
        yield file


def _new_file(path: str) -> TextIO:
    """For the eyes of its owner alone: it has hashes. Raises OSError, also when it is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


__all__ = ["VERBS", "BadFile"]
