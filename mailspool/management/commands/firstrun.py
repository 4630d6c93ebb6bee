"""`manage.py firstrun`: the first steps of a new installation."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from accounts.management.terminal import TerminalCommand, one_line
from mailspool.first_run.steps import steps


class Command(TerminalCommand):
    """Exit status: 0 all is done, 1 something is left."""

    help = (
        "The first steps of a new installation, and which of them are done: host name, certificate, domain and its DNS,"
        " a user, a test message, alerts, second factors of the system administrators."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        found = steps()
        if options["json"]:
            rows = [{"step": one.name, "done": one.done, "sentence": one.sentence} for one in found]
            self.stdout.write(json.dumps(rows, indent=2))
        else:
            for one in found:
                self.stdout.write(f"[{'x' if one.done else ' '}] {one.title:<20} {one_line(one.sentence)}")
        if not all(one.done for one in found):
            sys.exit(1)
