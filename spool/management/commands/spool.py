"""`manage.py spool …`: every look and every action on the spool, from the shell."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from accounts.management.terminal import TerminalCommand
from spool.actions import NotAllowed, Refused
from spool.filters import BadFilter
from spool.shell import acting, looking, transfer, undoing
from spool.shell.output import NOTHING, USAGE, Ended, Output


class Command(TerminalCommand):
    """Exit status: 0 done, 1 nothing matched or it was refused, 2 usage."""

    help = "Look at what is in the spool, act on it, and undo that."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for group in (looking, acting, undoing, transfer):
            group.add_parsers(verbs)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["run"](options, Output(self.stdout, options["json"]))  # type: ignore[arg-type]
        except Ended as ended:
            self._end(ended.status, ended.message)
        except BadFilter as error:
            self._end(USAGE, str(error))
        except (Refused, NotAllowed) as error:
            self._end(NOTHING, str(error))

    def _end(self, status: int, message: str) -> None:
        if message:
            self.stderr.write(message)
        sys.exit(status)
