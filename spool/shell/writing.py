"""Where the bytes of an export go: a new file, or standard output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spool.actions import Refused
from spool.shell.output import Output


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", default="-", metavar="FILE", help="where to; - for standard output")


def write_out(pieces: Iterable[bytes], options: dict[str, Any], output: Output) -> None:
    """Write an export to where the options say. Raises Refused when that can't be written."""
    size = 0
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
