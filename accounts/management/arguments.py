"""What `manage.py account` can be told: kinds, verbs, and an option for each field."""

from __future__ import annotations

import argparse
from typing import Any

from accounts import actions, containing, securing
from accounts.connections.registry import DROP
from accounts.fields import DEFAULTS, KINDS
from accounts.management.options import add_options
from accounts.transfer.columns import KINDS as ROW_KINDS
from accounts.transfer.files import FORMATS as FILE_FORMATS
from base.actions.action import SingleAction
from base.actions.options import add_inputs

_STATUS = (securing.ENABLE, securing.DISABLE, securing.LET_RECEIVE_ONLY)
_SWITCHES = (actions.SWITCH_ON, actions.SWITCH_OFF)
# The verbs that are actions, which describe themselves.
ACTIONS: dict[str, tuple[SingleAction[Any], ...]] = {
    "domain": _STATUS,
    "user": (
        *_STATUS,
        securing.CHANGE_PASSWORD,
        DROP,
        containing.CONTAIN,
        containing.UNCONTAIN,
        containing.STOP_FORWARDING,
    ),
    "alias": _SWITCHES,
    "list": _SWITCHES,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The whole grammar of the command."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="|".join(KINDS))
    for kind in KINDS:
        verbs = kinds.add_parser(kind, help=f"add, list, show, set, switch off, remove: {kind}").add_subparsers(
            dest="verb", required=True
        )
        _common(verbs, kind)
        for action in ACTIONS[kind]:
            add_inputs(_verb(verbs, action.name, action.summary, target=True, kind=kind), action)
        if kind in DEFAULTS:
            _defaults(verbs.add_parser("defaults", help=f"what a new {kind} starts with"), kind)
        if kind == "user":
            _looking(verbs)
        if kind == "list":
            _members(verbs)
    _transfer(kinds)


def _transfer(kinds: Any) -> None:
    taking = kinds.add_parser(
        "import",
        help="domains, users with their hashes, aliases and lists from a file",
        description="Take accounts over from a file, and say of each row what became of it. docs/moving.md has the"
        " columns, and recipes for PostfixAdmin and Dovecot.",
    )
    taking.add_argument("file", metavar="FILE", help="CSV, JSON or Dovecot's passwd-file; - for standard input")
    taking.add_argument("--format", choices=tuple(FILE_FORMATS), help="of the file; told by its name when left out")
    taking.add_argument(
        "--kind", dest="row_kind", choices=tuple(ROW_KINDS), default="user", help="of rows that name none (user)"
    )
    taking.add_argument("--update", action="store_true", help="change what is there with other values")
    taking.add_argument("--dry-run", action="store_true", help="only say what would become of each row")
    taking.add_argument("--quiet", action="store_true", help="name only the rows that are refused")
    giving = kinds.add_parser("export", help="all accounts as a file that import takes")
    giving.add_argument("--format", choices=("csv", "json"), default="csv", help="of the file (csv)")
    giving.add_argument(
        "--output", default="-", metavar="FILE", help="a new file, for you alone; - for standard output"
    )
    giving.add_argument("--domain", default="", help="only what is in this domain")
    giving.add_argument("--no-passwords", action="store_true", help="leave the hashes of passwords out")
    for parser in (taking, giving):
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def _common(verbs: Any, kind: str) -> None:
    add = _verb(verbs, "add", f"a new {kind}", target=True, kind=kind)
    change = _verb(verbs, "set", "change some of it", target=True, kind=kind)
    for parser in (add, change):
        add_options(parser, KINDS[kind].model, KINDS[kind].options)
    _verb(verbs, "show", "all about one", target=True, kind=kind)
    listing = _verb(verbs, "list", "all, in the order of their names", target=False)
    if kind != "domain":
        listing.add_argument("--domain", default="", help="only of this domain")
    _verb(verbs, "remove", "delete it", target=True, kind=kind)
    if kind == "user":
        add.add_argument("--password", help="asked for, or read from standard input, when left out")
        for parser in (add, change):
            roles = parser.add_mutually_exclusive_group()
            roles.add_argument("--admin", action="store_true", help="a system administrator")
            roles.add_argument("--help-desk", action="store_true", help="looks into the console, and helps mail along")
            roles.add_argument("--read-only", action="store_true", help="looks into the console, and changes nothing")
            roles.add_argument("--domain-admin", action="store_true", help="an administrator of the own domain")
            parser.add_argument("--forward-to", action="append", metavar="ADDRESS", help="repeat for more")
        change.add_argument("--plain", action="store_true", help="an administrator no more")
        change.add_argument("--no-forward", action="store_true", help="forward to nobody")
    if kind == "alias":
        add.add_argument("--to", action="append", required=True, metavar="ADDRESS", help="repeat for more")
        change.add_argument("--to", action="append", metavar="ADDRESS", help="these instead; repeat for more")
    if kind == "list":
        add.add_argument("--member", action="append", default=[], metavar="ADDRESS", help="repeat for more")
        for parser in (add, change):
            parser.add_argument("--owner", metavar="ADDRESS", help="a user; gets the bounces")


def _looking(verbs: Any) -> None:
    connections = _verb(verbs, "connections", "who is connected, of all or of one user", target=False)
    connections.add_argument("--user", default="", metavar="ADDRESS", help="only of this user")
    connections.add_argument("--ip", default="", metavar="IP", help="only from this address")
    _verb(verbs, "logins", "recent logins, with their addresses", target=True)
    _verb(verbs, "history", "what was done to the account lately, and by whom", target=True)
    factors = _verb(verbs, "factors", "second factors and application passwords", target=True)
    factors.add_argument("--remove", action="store_true", help="remove all second factors, which are lost")


def _members(verbs: Any) -> None:
    members = verbs.add_parser("member", help="who is on it").add_subparsers(dest="member_verb", required=True)
    for verb, help in (("add", "put addresses on it"), ("remove", "take addresses off it")):
        parser = _verb(members, verb, help, target=True)
        parser.add_argument("members", nargs="*", metavar="MEMBER", help="read from standard input when left out")
    _verb(members, "list", "all members", target=True)


def _defaults(parser: argparse.ArgumentParser, kind: str) -> None:
    verbs = parser.add_subparsers(dest="defaults_verb", required=True)
    _verb(verbs, "show", "what they are", target=False)
    change = _verb(verbs, "set", "change them; what is there stays as it is", target=False)
    add_options(change, DEFAULTS[kind].model, DEFAULTS[kind].options)
    propagate = _verb(verbs, "propagate", f"give them to every {kind} that is there", target=False)
    propagate.add_argument(
        "--field",
        action="append",
        required=True,
        metavar="FIELD",
        choices=DEFAULTS[kind].options,
        help="which of them; repeat for more",
    )
    chosen = propagate.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--all", action="store_true", help=f"to every {kind}")
    chosen.add_argument("--domain", action="append", metavar="DOMAIN", help="only to or in this one; repeat for more")
    if kind == "user":
        chosen.add_argument("--user", action="append", metavar="ADDRESS", help="only to this one; repeat for more")
    propagate.add_argument("--dry-run", action="store_true", help="only say what would change")
    propagate.add_argument("--yes", action="store_true", help="don't ask")


def _verb(verbs: Any, name: str, help: str, *, target: bool, kind: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help)
    # SUPPRESS: otherwise the default of the inner parser would undo `account --json …`.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    if target:
        parser.add_argument("target", metavar="DOMAIN" if kind == "domain" else "ADDRESS")
    return parser
