"""How fast mail of other kinds goes, each beside Postfix in the same run.

    python -m bench.loads [--parts sizes,local,lmtp,recipients,submission,waiting,peers] [--full] …

Small by default: some minutes a part. bench/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench import frame
from bench.loads import parts, report
from bench.loads.race import Series


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    if not frame.can_run(on_postgresql=options.database != "sqlite"):
        return 1
    frame.end_with_all()
    console = Console(width=140)
    found: list[Series] = []
    for part in options.parts:
        with frame.place(options.folder) as place:
            found += parts.ALL[part](options, place, console)
    report.show(found, console)
    frame.write([asdict(series) for series in found], options.json)
    console.print(f"\nAll figures: {options.json}. Load of the machine at the end: {os.getloadavg()[0]:.1f}")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.loads", description="Race Mailspool and others, by parts.")
    parser.add_argument("--parts", type=_parts, default=list(parts.ALL), help=f"of {', '.join(parts.ALL)}, with commas")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument(
        "--store", type=lambda text: text.split(","), default=[], metavar="files,database", help="on PostgreSQL"
    )
    parser.add_argument("--full", action="store_true", help="3,000 messages, 5 rounds, 1,000,000 that wait")
    parser.add_argument("--messages", type=int, help="of 4 KB in a turn (500); of large ones it is a share")
    parser.add_argument("--rounds", type=int, help="turns of each system (3)")
    parser.add_argument("--waiting", type=int, help="messages that wait in the part of that name (20,000)")
    parser.add_argument("--sessions", type=int, default=10, help="parallel sessions (10)")
    parser.add_argument("--workers", type=int, default=1, help="Mailspool's mail workers (1)")
    parser.add_argument("--folder", default=None, help="where spools and databases are made (default: $TMPDIR)")
    parser.add_argument("--json", type=Path, default=Path("var/bench/loads.json"), help="file of all figures")
    options = parser.parse_args(arguments)
    sizes = (3000, 5, 1_000_000) if options.full else (500, 3, 20_000)
    for name, size in zip(("messages", "rounds", "waiting"), sizes, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, size)
    return options


def _parts(text: str) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(parts.ALL):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(parts.ALL)}")
    return wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
