"""`manage.py spool …`: every look and every action on the spool, from the shell."""

from __future__ import annotations

import argparse

from spool.shell import actions, relocation, reports, transfer, undo
from spool.shell.command import VerbCommand


class Command(VerbCommand):
    """Exit status: 0 done, 1 nothing matched or it was refused, 2 usage."""

    help = "Look at what is in the spool, act on it, and undo that."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for group in (reports, actions, undo, transfer, relocation):
            group.add_parsers(verbs)
