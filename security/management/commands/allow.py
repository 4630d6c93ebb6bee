"""`manage.py allow add|remove|list`: the whitelist from the shell."""

from __future__ import annotations

import argparse
from typing import Any

from security import actions
from security.models import WhitelistEntry
from security.shell import add_protocols, add_verb, as_row
from spool.actions.actor import Actor
from spool.shell.command import VerbCommand
from spool.shell.output import NOTHING, Ended, Output

FLAGS = (
    ("--auth-bypass", "its hosts send anywhere without logging in"),
    ("--spam-bypass", "its mail is not checked for spam"),
    ("--login-bypass", "wrong passwords never close the login to the address itself"),
)


class Command(VerbCommand):
    help = "Let networks in whatever the blacklist says, and say what is not asked of them."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add = add_verb(verbs, "add", "Whitelist a network, or change one that is there; what is not said stays.", _add)
        add.add_argument("network", metavar="NETWORK")
        add_protocols(add, "all for a new one")
        for option, help in FLAGS:
            add.add_argument(option, action=argparse.BooleanOptionalAction, help=help)
        add.add_argument("--description", default="", metavar="TEXT", help="why, for other administrators")
        remove = add_verb(verbs, "remove", "Take a network off the whitelist.", _remove)
        remove.add_argument("network", metavar="NETWORK")
        add_verb(verbs, "list", "What is on the whitelist.", _list)


def _add(options: dict[str, Any], output: Output) -> None:
    row = actions.whitelist(
        Actor.at_the_shell(),
        options["network"],
        protocols=options["protocol"],
        description=options["description"],
        auth_bypass=options["auth_bypass"],
        spam_bypass=options["spam_bypass"],
        login_bypass=options["login_bypass"],
    )
    output.fields(as_row(row))


def _remove(options: dict[str, Any], output: Output) -> None:
    removed = actions.unwhitelist(Actor.at_the_shell(), options["network"])
    output.values({"removed": removed})
    if not removed:
        raise Ended(NOTHING, "" if output.as_json else f"{options['network']} is not listed.")
    output.line("Removed.")


def _list(options: dict[str, Any], output: Output) -> None:
    output.table([as_row(row) for row in WhitelistEntry.objects.order_by("network")])
