"""`manage.py account domain|user|alias|list …`: the accounts from the shell."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand
from django.db.models import Model, ProtectedError
from rich.console import Console
from rich.table import Table

from accounts import actions
from accounts.addresses import InvalidAddress
from accounts.models import Alias, Domain, MailingList, Role, Status, User

REFUSED = 1
_STATUS = {"enable": Status.ENABLED, "disable": Status.DISABLED, "receiving": Status.RECEIVING}
_ERRORS = (actions.NotThere, actions.AddressTaken, actions.TooManyUsers, InvalidAddress)


class Command(BaseCommand):
    """Exit status: 0 done, 1 refused or nothing there, 2 usage."""

    help = "Add, list, change and remove domains, users, aliases and mailing lists."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        kinds = parser.add_subparsers(dest="kind", required=True)
        domain = _verbs(kinds, "domain", status=True)
        domain["add"].add_argument("--catch-all", default="", help="takes the mail of addresses that do not exist")
        user = _verbs(kinds, "user", status=True)
        user["add"].add_argument("--password", default="", help="asked of standard input when left out")
        user["add"].add_argument("--name", default="")
        user["add"].add_argument("--forward-to", action="append", default=[], metavar="ADDRESS")
        user["add"].add_argument("--admin", action="store_true", help="a system administrator")
        user["add"].add_argument("--domain-admin", action="store_true", help="an administrator of the own domain")
        user["password"].add_argument("--password", default="", help="asked of standard input when left out")
        alias = _verbs(kinds, "alias")
        alias["add"].add_argument("--to", action="append", required=True, metavar="ADDRESS")
        mailing_list = _verbs(kinds, "list", members=True)
        mailing_list["add"].add_argument("--member", action="append", default=[], metavar="ADDRESS")
        mailing_list["add"].add_argument("--owner", default="")
        for verb in ("join", "leave"):
            mailing_list[verb].add_argument("--member", action="append", required=True, metavar="ADDRESS")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._print(getattr(self, f"_{options['kind']}")(options["verb"], options), as_json=options["json"])
        except _ERRORS as error:
            self._refuse(str(error))
        except ValidationError as error:
            self._refuse(" ".join(error.messages))
        except ProtectedError:
            self._refuse("It is still in use: remove what is in it first.")

    def _refuse(self, sentence: str) -> None:
        self.stderr.write(sentence)
        sys.exit(REFUSED)

    def _domain(self, verb: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        if verb == "list":
            return [_shown(row) for row in Domain.objects.all()]
        if verb == "add":
            return [_shown(actions.add_domain(options["name"], catch_all=options["catch_all"]))]
        return self._common(verb, actions.get_domain(options["name"]))

    def _user(self, verb: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        if verb == "list":
            return [_shown(row) for row in User.objects.select_related("domain")]
        if verb == "add":
            role = (
                Role.SYSTEM_ADMINISTRATOR if options["admin"]
                else Role.DOMAIN_ADMINISTRATOR if options["domain_admin"]
                else Role.USER
            )  # fmt: skip
            user = actions.add_user(
                options["address"], _password(options), role=role,
                name=options["name"], forward_to="\n".join(options["forward_to"]),
            )  # fmt: skip
            return [_shown(user)]
        user = actions.get_user(options["address"])
        if verb == "password":
            actions.set_password(user, _password(options))
            return [_shown(user)]
        return self._common(verb, user)

    def _alias(self, verb: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        if verb == "list":
            return [_shown(row) for row in Alias.objects.prefetch_related("targets")]
        if verb == "add":
            return [_shown(actions.add_alias(options["address"], options["to"]))]
        return self._common(verb, actions.get_alias(options["address"]))

    def _list(self, verb: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        if verb == "list":
            return [_shown(row) for row in MailingList.objects.prefetch_related("members").select_related("owner")]
        if verb == "add":
            return [_shown(actions.add_list(options["address"], options["member"], owner=options["owner"]))]
        mailing_list = actions.get_list(options["address"])
        if verb == "join":
            actions.add_members(mailing_list, options["member"])
        elif verb == "leave":
            if not actions.remove_members(mailing_list, options["member"]):
                raise actions.NotThere(f"None of them is on {mailing_list}.")
        else:
            return self._common(verb, mailing_list)
        return [_shown(mailing_list)]

    def _common(self, verb: str, row: Domain | User | Alias | MailingList) -> list[dict[str, Any]]:
        if verb == "remove":
            shown = _shown(row)
            actions.remove(row)
            return [shown]
        if verb in _STATUS and isinstance(row, Domain | User):
            actions.set_status(row, _STATUS[verb])
        return [_shown(row)]

    def _print(self, rows: list[dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        if not rows:
            self._refuse("There are none.")
        table = Table(*rows[0], box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(", ".join(value) if isinstance(value, list) else str(value) for value in row.values()))
        Console().print(table)


def _verbs(kinds: Any, kind: str, *, status: bool = False, members: bool = False) -> dict[str, argparse.ArgumentParser]:
    verbs = kinds.add_parser(kind).add_subparsers(dest="verb", required=True)
    names = ["add", "list", "show", "remove", *(_STATUS if status else ()), *(("join", "leave") if members else ())]
    if kind == "user":
        names.append("password")
    parsers = {}
    for name in names:
        parsers[name] = verbs.add_parser(name)
        parsers[name].add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        if name != "list":
            parsers[name].add_argument("name" if kind == "domain" else "address")
    return parsers


def _password(options: dict[str, Any]) -> str:
    return options["password"] or sys.stdin.readline().rstrip("\n")


def _shown(row: Model) -> dict[str, Any]:
    """What a person wants to know of it."""
    if isinstance(row, Domain):
        return {"domain": row.name, "status": row.status, "catch_all": row.catch_all}
    if isinstance(row, User):
        return {"user": row.email, "role": row.role, "status": row.status, "forward_to": row.forward_addresses}
    if isinstance(row, Alias):
        return {"alias": row.address, "enabled": row.enabled, "to": [target.address for target in row.targets.all()]}
    assert isinstance(row, MailingList)
    return {
        "list": row.address, "enabled": row.enabled, "owner": row.owner.email if row.owner else "",
        "members": [member.address for member in row.members.all()],
    }  # fmt: skip
