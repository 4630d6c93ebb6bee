"""`manage.py restore FOLDER|-`: a backup into an installation that is new."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings as django_settings

from accounts.management.terminal import TerminalCommand, one_line
from mailspool.backup import restoring
from mailspool.backup.errors import BackupError
from mailspool.backup.progress import Progress
from mailspool.backup.restoring import Looked, Restored
from spool.shell.output import NOTHING, USAGE


class Command(TerminalCommand):
    """Exit status: 0 done, 1 refused or failed, 2 usage."""

    help = (
        "Bring a backup into an empty installation whose programs are stopped. Everything is checked against its sum"
        " before anything is touched; a restore that was interrupted is run again."
    )
    # The database may have no tables yet.
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "source", metavar="FOLDER", help="a folder of backups, for the newest; one backup in it; or - for a tar"
        )
        parser.add_argument(
            "--hold", action="store_true", help="put every message on hold, for a look before it goes out"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only read the backup and check its sums; also while mail flows"
        )
        parser.add_argument(
            "--without-damaged", action="store_true", help="leave out files that are not what was backed up"
        )
        parser.add_argument("--quiet", action="store_true", help="no progress")
        parser.add_argument(
            "--json", action="store_true", help="print JSON, with the names of messages that may be delivered twice"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from_stream = options["source"] == "-"
        if from_stream and sys.stdin.isatty():
            self._end(
                USAGE, "A tar can't come from a terminal: read it from a file or a program, as in restore - <FILE."
            )
        progress = Progress(None if options["quiet"] else sys.stderr)
        source = sys.stdin.buffer if from_stream else Path(options["source"]).absolute()
        try:
            if options["dry_run"]:
                self._tell_looked(restoring.look(django_settings.HOME, source, progress), as_json=options["json"])
                return
            restored = restoring.restore(
                django_settings.HOME,
                source,
                progress,
                hold=options["hold"],
                without_damaged=options["without_damaged"],
                list_due=options["json"],
            )
        except BackupError as error:
            self._end(NOTHING, str(error))
        except OSError as error:
            self._end(NOTHING, f"The restore failed: {error.filename or source}: {error.strerror}.")
        self._tell(restored, hold=options["hold"], as_json=options["json"])

    def _tell_looked(self, looked: Looked, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**_shown(looked), "damaged": looked.damaged}, indent=2))
        elif not looked.damaged:
            self.stdout.write(f"{looked.name}: {looked.files:,} files, {looked.bytes / 1e6:,.1f} MB, all as they were.")
        if looked.damaged:
            self._end(NOTHING, "\n".join([*looked.damaged, f"{len(looked.damaged)} files are damaged."]))

    def _tell(self, restored: Restored, *, hold: bool, as_json: bool) -> None:
        looked, settled = restored.looked, restored.settled
        if as_json:
            shown = {
                **_shown(looked),
                "messages": settled.messages,
                "quarantined": settled.quarantined,
                "trashed": settled.trashed,
                "held": hold,
                "damaged": looked.damaged,
                "may_be_delivered_twice": restored.due_names,
                "seconds": round(restored.seconds, 1),
            }
            self.stdout.write(json.dumps(shown, indent=2))
            return
        moment = f"{looked.header.taken:%Y-%m-%d %H:%M:%S} UTC"
        lines = [
            f"Restored the backup of {moment}: {settled.messages:,} messages in the spool, {settled.quarantined:,} in"
            f" quarantine, {settled.trashed:,} in the trash, {looked.maildir_messages:,} in Maildirs.",
            f"{settled.due:,} messages were not on hold then, {settled.under_way:,} of them just being delivered: what"
            " the old system has delivered since will be delivered a second time. What it took in since is not here.",
        ]
        if hold:
            lines.append("Every message is on hold: look at them with `spool list`, then `spool release`.")
        if looked.missing:
            lines.append(f"{looked.missing:,} messages had no file when the backup was made; they will expire.")
        if looked.damaged:
            lines.append(f"Left out, because they are damaged: {'; '.join(looked.damaged)}.")
        self.stdout.write("\n".join(map(one_line, lines)))

    def _end(self, status: int, message: str) -> NoReturn:
        self.stderr.write(message)
        sys.exit(status)


def _shown(looked: Looked) -> dict[str, Any]:
    return {
        "backup": looked.name,
        "taken": looked.header.taken.isoformat(),
        "version": looked.header.version,
        "files": looked.files,
        "bytes": looked.bytes,
        "maildir_messages": looked.maildir_messages,
        "missing": looked.missing,
    }
