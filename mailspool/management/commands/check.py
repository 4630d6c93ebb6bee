"""`manage.py check`: is all as it should be around Mailspool? With an option of Django's it is Django's own check."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import check

from accounts.actor import Actor
from accounts.management.terminal import one_line
from base.action import record
from mailspool.inspection.all import inspect
from mailspool.inspection.findings import Finding, Level
from spool.files import marks

# What makes it Django's, and what those are without an option.
_DJANGOS = {"args": (), "tags": None, "list_tags": False, "deploy": False, "fail_level": None, "databases": None}


class Command(check.Command):
    """Exit status: 0 no fault, 1 a fault."""

    help = (
        "Look at the environment, the home, its modes and disks, the database, Redis, the certificate, the ports and"
        " the DNS, and say what is wrong and what to do. With --deploy, --tag, --fail-level, --database or the names of"
        " apps it is Django's check of the code alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(fail_level=None)
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--mark",
            action="store_true",
            help="accept the folders of the home as this installation's, whatever disk they are on now",
        )
        parser.add_argument(
            "--this-home",
            action="store_true",
            help="with --mark: this home has the message files, mailboxes and keys now, whichever had them",
        )
        parser.add_argument("--only-wrong", action="store_true", help="leave out what is as it should be")

    def handle(self, *app_labels: Any, **options: Any) -> None:
        asked = {name: options.get(name, default) for name, default in _DJANGOS.items() if name != "args"}
        if app_labels or any(asked[name] != _DJANGOS[name] for name in asked):
            options["fail_level"] = options["fail_level"] or "ERROR"
            super().handle(*app_labels, **options)
            return
        if options["this_home"] and not options["mark"]:
            raise CommandError("--this-home goes with --mark.")
        if options["mark"]:
            self._mark(this_home=options["this_home"])
            return
        found = []
        for finding in inspect():
            if options["only_wrong"] and finding.level is Level.OK:
                continue
            found.append(finding)
            if not options["json"]:
                # One after the other: a server that does not answer takes its time.
                self.stdout.write(f"{finding.level.value:<8} {finding.subject:<13} {one_line(finding.sentence)}")
                self.stdout.flush()
        if options["json"]:
            rows = [{"level": f.level.value, "subject": f.subject, "sentence": f.sentence} for f in found]
            self.stdout.write(json.dumps(rows, indent=2))
        else:
            self.stdout.write(_sum(found))
        if any(finding.level is Level.FAULT for finding in found):
            sys.exit(1)

    def _mark(self, *, this_home: bool) -> None:
        try:
            marked = marks.accept(this_home=this_home)
        except OSError as error:
            raise CommandError(f"A folder can't be marked: {error}") from error
        if marked:
            record(Actor.at_the_shell(), "mark folders", ", ".join(map(str, marked)))
        for sentence in marks.faults():
            self.stdout.write(sentence)
        for folder in marked:
            self.stdout.write(f"{folder} is this installation's from now on.")
        if not marked:
            self.stdout.write("All folders had this installation's mark.")


def _sum(found: list[Finding]) -> str:
    counts = Counter(finding.level for finding in found)
    parts = [
        f"{counts[level]} {level.value}{'' if counts[level] == 1 else 's'}" for level in (Level.FAULT, Level.WARNING)
    ]
    return f"{' and '.join(parts)}."
