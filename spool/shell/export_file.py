"""Where the bytes of an export go: a new file, or standard output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from accounts.management.terminal import as_shown
from spool.actions import Refused
from spool.shell.output import Output

# What people may want to look at.
_TEXT = ("csv", "json")


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", default="-", metavar="FILE", help="where to; - for standard output")


def write_out(pieces: Iterable[bytes], options: dict[str, Any], output: Output) -> None:
    """Write an export to where the options say. Raises Refused when that can't be written.

    A terminal gets rows alone, and nothing that it would obey.
    """
    size = 0
    if options["output"] == "-" and sys.stdout.isatty():
        if options["format"] not in _TEXT:
            raise Refused("That is nothing for a terminal: name a file by --output, or send it into one by >.")
        for piece in pieces:
            sys.stdout.write(as_shown(piece.decode("utf-8", "replace")))
        return
    if options["output"] == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    path = Path(options["output"])
    try:
        with path.open("xb") as file:
            for piece in pieces:
                size += file.write(piece)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}.") from error
    output.line(f"{size:,} bytes in {path}")
    output.values({"file": str(path), "size_bytes": size})
