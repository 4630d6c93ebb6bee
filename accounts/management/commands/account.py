"""`manage.py account domain|user|alias|list …`: the accounts from the shell."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet

from accounts import actions, propagation
from accounts.actor import Actor
from accounts.addresses import InvalidAddress
from accounts.fields import KINDS
from accounts.management import securing, transfer
from accounts.management.arguments import ACTIONS, add_arguments
from accounts.management.shown import as_text, brief, defaults, whole
from accounts.management.terminal import TerminalCommand, print_table
from accounts.models import Alias, Domain, DomainDefaults, MailingList, Role, User, UserDefaults
from accounts.securing import CHANGE_PASSWORD
from base.actions.action import SingleAction, Target
from base.actions.options import given
from base.actions.perform import perform
from base.complaints import sentences

REFUSED, USAGE = 1, 2
Row = Domain | User | Alias | MailingList
_ERRORS = (
    actions.Refused,
    actions.NotAllowed,
    actions.NotThere,
    actions.AddressTaken,
    actions.TooManyUsers,
    actions.InUse,
    InvalidAddress,
)


class Command(TerminalCommand):
    """Exit status: 0 done, 1 refused or nothing there, 2 usage."""

    help = "Add, list, change and remove domains, users, aliases and mailing lists, and what new ones start with."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["kind"] in transfer.VERBS:
                transfer.VERBS[options["kind"]](options, self.stdout, self.stderr)
                return
            rows = self._done(options)
        except transfer.BadFile as error:
            self._stop(str(error))
        except _ERRORS as error:
            self._stop(str(error))
        except ValidationError as error:
            self._stop(sentences(error))
        self._print(rows, as_json=options["json"])

    def _done(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        kind, verb = options["kind"], options["verb"]
        if verb == "defaults":
            return self._defaults(kind, options)
        if verb == "list":
            return [brief(row) for row in _all(kind, options.get("domain") or "")]
        if verb == "add":
            return [whole(self._add(kind, options))]
        if verb == "connections":
            return securing.connected(options)
        row = _get(kind, options["target"])
        if verb in securing.LOOKS:
            assert isinstance(row, User)
            return securing.LOOKS[verb](row, options)
        if verb == "member":
            assert isinstance(row, MailingList)
            return self._member(row, options)
        if verb == "remove":
            shown = whole(row)
            self._say(actions.remove(row, actor=Actor.at_the_shell()))
            return [shown]
        if verb == "set":
            self._set(kind, row, options)
        action = next((one for one in ACTIONS[kind] if one.name == verb), None)
        return [whole(row)] if action is None else self._act(kind, action, row, options)

    def _act(self, kind: str, action: SingleAction[Any], row: Row, options: dict[str, Any]) -> list[dict[str, Any]]:
        typed = given(action, options)
        if action is CHANGE_PASSWORD:
            typed["password"] = _password(typed.get("password"))
        key = row.name if isinstance(row, Domain) else row.email if isinstance(row, User) else row.address
        done = perform(action, Actor.at_the_shell(), Target(kind, (key,), (row,)), typed)
        if isinstance(row, User) and action.name in securing.SAID:
            return securing.SAID[action.name](row, done)
        if isinstance(done.result, actions.Secured):
            self._say(done.result)
        return [whole(row)]

    def _add(self, kind: str, options: dict[str, Any]) -> Row:
        target, fields, actor = options["target"], _given(kind, options), Actor.at_the_shell()
        if kind == "domain":
            return actions.add_domain(target, actor=actor, **fields)
        if kind == "alias":
            return actions.add_alias(target, options["to"], actor=actor, **fields)
        if kind == "list":
            owner = options["owner"] or ""
            return actions.add_list(target, options["member"], owner=owner, actor=actor, **fields)
        if options["forward_to"]:
            fields["forward_to"] = "\n".join(options["forward_to"])
        role = _role(options) or Role.USER
        return actions.add_user(target, _password(options["password"]), role=role, actor=actor, **fields)

    def _set(self, kind: str, row: Row, options: dict[str, Any]) -> None:
        fields = _given(kind, options)
        if isinstance(row, User):
            if role := _role(options):
                fields["role"] = role
            if options["forward_to"] or options["no_forward"]:
                fields["forward_to"] = "\n".join(options["forward_to"] or [])
        if isinstance(row, MailingList) and options["owner"] is not None:
            fields["owner"] = actions.get_user(options["owner"]) if options["owner"] else None
        targets = options.get("to")
        if not fields and not targets:
            self._stop(f"Say what to change; `account {kind} set --help` lists the options.", USAGE)
        actions.change(row, actor=Actor.at_the_shell(), targets=targets, **fields)

    def _member(self, row: MailingList, options: dict[str, Any]) -> list[dict[str, Any]]:
        verb = options["member_verb"]
        if verb != "list":
            given = options["members"] or [line.strip() for line in sys.stdin if line.strip()]
            change_members = actions.add_members if verb == "add" else actions.remove_members
            changed = change_members(row, given, actor=Actor.at_the_shell())
            if not changed:
                already = "is on it already" if verb == "add" else "is on it"
                self._stop(f"Nothing to do for {row}: {'each' if verb == 'add' else 'none'} of them {already}.")
            return [{"list": row.address, "added" if verb == "add" else "removed": changed}]
        return [
            {"address": address, "enabled": is_enabled}
            for address, is_enabled in row.members.order_by("address").values_list("address", "enabled")
        ]

    def _defaults(self, kind: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        row = DomainDefaults.load() if kind == "domain" else UserDefaults.load()
        verb = options["defaults_verb"]
        if verb == "propagate":
            return self._propagate(row, options)
        if verb == "set":
            fields = _given(kind, options)
            if not fields:
                self._stop(f"Say what to change; `account {kind} defaults set --help` lists the options.", USAGE)
            actions.change_defaults(row, actor=Actor.at_the_shell(), **fields)
        return [defaults(row)]

    def _propagate(self, row: DomainDefaults | UserDefaults, options: dict[str, Any]) -> list[dict[str, Any]]:
        chosen = _chosen(row, options)
        preview = propagation.preview(row, options["field"], chosen)
        if not preview.changing:
            self._stop(f"Nothing to do: each of {preview.chosen} has these values already.")
        if options["dry_run"]:
            if not options["json"]:
                self.stdout.write(f"{preview.changing} of {preview.chosen} would change. The first of them:")
                return [_difference(one) for one in preview.examples]
            examples = [_difference(one) for one in preview.examples]
            return [{"chosen": preview.chosen, "changing": preview.changing, "examples": examples}]
        if not options["yes"]:
            if not sys.stdin.isatty():
                self._stop(f"{preview.changing} of {preview.chosen} would change; --yes does it.")
            if input(f"Change {preview.changing} of {preview.chosen}? [y/N] ").strip().lower() not in ("y", "yes"):
                self._stop("Nothing was changed.")
        changed = propagation.propagate(Actor.at_the_shell(), row, options["field"], chosen)
        return [{"chosen": preview.chosen, "changed": changed}]

    def _print(self, rows: list[dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2))
        if not rows:
            self._stop("There are none.")
        if as_json:
            return
        shown = [{name: as_text(value) for name, value in row.items()} for row in rows]
        print_table(self.stdout, shown, fold=False)

    def _say(self, done: actions.Secured) -> None:
        """What came of it besides the row that is shown: ended connections, and those that could not be."""
        if done.dropped is not None and (done.dropped.total or done.dropped.problems):
            self.stderr.write(done.dropped.sentence)

    def _stop(self, sentence: str, status: int = REFUSED) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(status)


def _all(kind: str, domain: str) -> QuerySet[Any]:
    rows: QuerySet[Any] = {
        "domain": Domain.objects.all(),
        "user": User.objects.all(),
        "alias": Alias.objects.prefetch_related("targets"),
        "list": MailingList.objects.select_related("owner").annotate(member_total=Count("members")),
    }[kind]
    return rows.filter(domain=actions.get_domain(domain)) if domain else rows


def _get(kind: str, target: str) -> Row:
    if kind == "domain":
        return actions.get_domain(target)
    if kind == "user":
        return actions.get_user(target)
    return actions.get_alias(target) if kind == "alias" else actions.get_list(target)


def _given(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """The fields that the options name."""
    return {name: options[name] for name in KINDS[kind].options if options.get(name) is not None}


def _role(options: dict[str, Any]) -> Role | None:
    if options["admin"]:
        return Role.SYSTEM_ADMINISTRATOR
    if options["help_desk"]:
        return Role.HELP_DESK
    if options["read_only"]:
        return Role.READ_ONLY
    if options["domain_admin"]:
        return Role.DOMAIN_ADMINISTRATOR
    return Role.USER if options.get("plain") else None


def _chosen(row: DomainDefaults | UserDefaults, options: dict[str, Any]) -> QuerySet[Any]:
    """The rows to propagate to. Raises NotThere."""
    domains = [actions.get_domain(name).pk for name in options["domain"] or ()]
    if isinstance(row, DomainDefaults):
        return Domain.objects.filter(pk__in=domains) if domains else Domain.objects.all()
    users = [actions.get_user(address).pk for address in options["user"] or ()]
    if users:
        return User.objects.filter(pk__in=users)
    return User.objects.filter(domain__in=domains) if domains else User.objects.all()


def _difference(one: propagation.Difference) -> dict[str, Any]:
    return {"name": one.name, "field": one.field, "is_now": one.is_now, "would_be": one.would_be}


def _password(typed: str | None) -> str:
    if typed is not None:
        return typed
    return getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
