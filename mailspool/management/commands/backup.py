"""`manage.py backup FOLDER|-`: all that an installation needs to be there again, while mail flows."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from accounts.management.terminal import TerminalCommand
from mailspool.backup import making
from mailspool.backup.errors import BackupError
from mailspool.backup.making import Made
from mailspool.backup.progress import Progress
from spool.shell.output import NOTHING, USAGE


class Command(TerminalCommand):
    """Exit status: 0 done, 1 refused or failed, or files were missing; 2 usage."""

    help = (
        "Back up the database and exactly the files that it names, Maildirs and keys, while mail flows. The backup is"
        " as secret as the installation: it has all mail and all keys in it."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "target",
            metavar="FOLDER",
            help="a folder for backups, of which each takes only what is new; or - for a tar",
        )
        parser.add_argument(
            "--without-maildirs", action="store_true", help="leave out what users have in their Maildirs"
        )
        parser.add_argument(
            "--keep", type=int, default=0, metavar="N", help="remove all backups in FOLDER but the last N"
        )
        parser.add_argument(
            "--copy", action="store_true", help="copy, also where a hard link on the same disk would do"
        )
        parser.add_argument("--quiet", action="store_true", help="no progress")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        to_stream = options["target"] == "-"
        if to_stream and sys.stdout.isatty():
            self._end(USAGE, "A tar can't go to a terminal: send it into a file or a program, as in backup - >FILE.")
        if options["keep"] < 0 or (options["keep"] and to_stream):
            self._end(USAGE, "--keep takes a number from 1 on, and a folder of backups.")
        progress = Progress(None if options["quiet"] else sys.stderr)
        target = sys.stdout.buffer if to_stream else Path(options["target"]).absolute()
        try:
            made = making.make(
                django_settings.HOME,
                target,
                progress,
                with_maildirs=not options["without_maildirs"],
                link=not options["copy"],
                keep=options["keep"],
            )
        except BackupError as error:
            self._end(NOTHING, str(error))
        except BrokenPipeError:
            # Nothing more may be written, at the end of the program neither.
            sys.stdout = None  # type: ignore[assignment]
            self._end(NOTHING, "Whoever read the backup has gone: it is not whole.")
        except OSError as error:
            self._end(NOTHING, f"The backup failed: {error.filename or target}: {error.strerror}.")
        # A tar has standard output for itself.
        self._tell(made, sys.stderr if to_stream else self.stdout, as_json=options["json"])
        if made.totals.missing:
            self._end(
                NOTHING,
                f"{made.totals.missing} messages have no file, which was so before or is so because the disk is full:"
                f" {', '.join(made.totals.missing_paths)}. The backup has everything else; see `spool doctor`.",
            )

    def _tell(self, made: Made, out: Any, *, as_json: bool) -> None:
        totals = made.totals
        if as_json:
            shown = {
                "backup": str(made.path) if made.path else None,
                "taken": made.taken.isoformat(),
                "messages": totals.messages,
                "maildir_messages": totals.maildir_messages,
                "files": totals.files,
                "bytes": totals.bytes,
                "new_files": totals.copied,
                "linked": made.linked,
                "missing": totals.missing,
                "removed_backups": made.removed,
                "seconds": round(made.seconds, 1),
            }
            out.write(f"{json.dumps(shown, indent=2)}\n")
            return
        out.write(
            f"{made.path or 'Backup'}: {totals.messages:,} messages, {totals.maildir_messages:,} in Maildirs,"
            f" {totals.bytes / 1e6:,.1f} MB in {totals.files:,} files, {totals.copied:,} of them new; it took"
            f" {made.seconds:.0f} s.\n"
        )
        if made.removed:
            out.write(f"{made.removed} older backups removed.\n")

    def _end(self, status: int, message: str) -> None:
        self.stderr.write(message)
        sys.exit(status)
