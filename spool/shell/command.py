"""A command whose verbs are functions of its options and its output, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from accounts.management.terminal import TerminalCommand
from spool.actions import NotAllowed, Refused
from spool.filters import BadFilter
from spool.shell.output import NOTHING, USAGE, Ended, Output, add_json


class VerbCommand(TerminalCommand):
    """Its options say what to `run`. Exit status: 0 done, 1 nothing matched or it was refused, 2 usage."""

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


def add_verb(verbs: Any, name: str, help: str, run: Callable[[dict[str, Any], Output], None]) -> Any:
    """The parser of a verb that takes --json; its options are handed to `run`."""
    parser = verbs.add_parser(name, help=help, description=help)
    parser.set_defaults(run=run)
    add_json(parser)
    return parser
