"""`manage.py allow add|remove|list`: the whitelist from the shell."""

from __future__ import annotations

from typing import Any

from base.actions.action import Target
from base.actions.options import add_inputs, given
from base.actions.perform import perform
from security.actions.networks import UNWHITELIST, WHITELIST
from security.models import WhitelistEntry
from security.shell import as_row
from spool.actions.actor import Actor
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, Ended, Output


class Command(VerbCommand):
    help = "Let networks in whatever the blacklist says, and say what is not asked of them."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, action, run in (("add", WHITELIST, _add), ("remove", UNWHITELIST, _remove)):
            verb = add_verb(verbs, name, action.summary, run)
            verb.add_argument("network", metavar="NETWORK")
            add_inputs(verb, action)
        add_verb(verbs, "list", "What is on the whitelist.", _list)


def _add(options: dict[str, Any], output: Output) -> None:
    target = Target.of("network", options["network"])
    output.fields(as_row(perform(WHITELIST, Actor.at_the_shell(), target, given(WHITELIST, options)).result))


def _remove(options: dict[str, Any], output: Output) -> None:
    removed = perform(UNWHITELIST, Actor.at_the_shell(), Target.of("network", options["network"])).result
    output.values({"removed": removed})
    if not removed:
        raise Ended(NOTHING, "" if output.as_json else f"{options['network']} is not listed.")
    output.line("Removed.")


def _list(options: dict[str, Any], output: Output) -> None:
    output.table([as_row(row) for row in WhitelistEntry.objects.order_by("network")], nothing="There are none.")
