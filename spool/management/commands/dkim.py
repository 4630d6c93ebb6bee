"""`manage.py dkim add|list|show|check|publish|retire|remove`: keys by which mail is signed, from the shell."""

from __future__ import annotations

from typing import Any

from accounts.addresses import InvalidAddress, normalise_domain
from base.actions.action import SingleAction, Target
from base.actions.options import add_inputs, given
from base.actions.perform import perform
from base.dns_texts import strings_of
from spool.actions import dkim
from spool.actions.actor import Actor
from spool.models.dkim import DkimKey, KeyState
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, Ended, Output


class Command(VerbCommand):
    help = "Sign outgoing mail by DKIM: keys of our domains, and the DNS records that they need."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add = add_verb(verbs, "add", dkim.MAKE_KEY.summary, _add)
        add.add_argument("domain", metavar="DOMAIN")
        add_inputs(add, dkim.MAKE_KEY)
        listed = add_verb(verbs, "list", "All keys, and how far each has come.", _list)
        listed.add_argument("domain", metavar="DOMAIN", nargs="?", default="", help="only those of this domain")
        zone = add_verb(verbs, "show", "The records that have to be in the DNS, as lines of a zone file.", _show)
        zone.add_argument("domain", metavar="DOMAIN", nargs="?", default="", help="only those of this domain")
        for action in (dkim.CHECK_KEY, dkim.PUBLISH_KEY, dkim.RETIRE_KEY, dkim.REMOVE_KEY):
            verb = add_verb(verbs, action.name.removeprefix("dkim-"), action.summary, _done_by(action))
            verb.add_argument("key", metavar="KEY", help="the name of its record, as `list` shows it")


def _add(options: dict[str, Any], output: Output) -> None:
    try:
        target = Target.of("domain", normalise_domain(options["domain"]))
    except InvalidAddress as error:
        raise Ended(NOTHING, str(error)) from error
    key = perform(dkim.MAKE_KEY, Actor.at_the_shell(), target, given(dkim.MAKE_KEY, options)).result
    if output.as_json:
        output.fields(_row(key))
    else:
        output.line(zone_line(key))


def _list(options: dict[str, Any], output: Output) -> None:
    output.table([_row(key) for key in _chosen(options)], nothing="There are no keys.")


def _show(options: dict[str, Any], output: Output) -> None:
    keys = [key for key in _chosen(options) if key.state != KeyState.REVOKED]
    if output.as_json:
        output.table([{"name": key.name, "type": "TXT", "value": key.record} for key in keys])
        return
    if not keys:
        output.table([], nothing="There are no keys.")
    for key in keys:
        output.line(zone_line(key))


def _done_by(action: SingleAction[Actor]) -> Any:
    def run(options: dict[str, Any], output: Output) -> None:
        target = dkim.key_named(options["key"])
        if target is None:
            raise Ended(NOTHING, f"There is no key {options['key']}; `dkim list` shows all.")
        done = perform(action, Actor.at_the_shell(), target)
        if output.as_json and done.result is not None:
            output.fields(_row(done.result))
        else:
            output.line(done.sentence)
        if not done.good:
            raise Ended(NOTHING, "")

    return run


def _chosen(options: dict[str, Any]) -> list[DkimKey]:
    keys = DkimKey.objects.all()
    return list(keys.filter(domain=options["domain"].lower()) if options["domain"] else keys)


def _row(key: DkimKey) -> dict[str, Any]:
    return {
        "key": key.name,
        "algorithm": key.algorithm,
        "state": key.state,
        "record": key.found or ("found" if key.checked else "not looked for yet"),
        "value": key.record,
    }


def zone_line(key: DkimKey) -> str:
    """A line of a zone file (RFC 1035 5.1)."""
    return f"{key.name}. 3600 IN TXT ({strings_of(key.record)})"
