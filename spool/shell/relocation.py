"""The verb that brings what is kept to where MAILSPOOL_STORE says: relocate."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from base.action import record
from spool.actions.actor import Actor
from spool.files import claim
from spool.places import contents, relocation
from spool.shell.command import add_verb
from spool.shell.output import NOTHING, Ended, Output

_HELP = "bring all messages that are kept to where MAILSPOOL_STORE says, at once; mail flows meanwhile"


def add_parsers(verbs: Any) -> None:
    add_verb(verbs, "relocate", _HELP, _relocate)


def _relocate(options: dict[str, Any], output: Output) -> None:
    place = "the database" if contents.in_database() else "files"
    if not claim.has_files():
        raise Ended(
            NOTHING, f"This home, {settings.HOME.root}, has not the message files: the one that has them moves them."
        )
    count = sum(relocation.chunks()) if relocation.is_due() else 0
    if count:
        record(Actor.at_the_shell(), "relocate", place, done=count)
    output.values({"moved": count, "to": place})
    output.line(f"{count:,} messages are in {place} now that were not." if count else f"All messages are in {place}.")
