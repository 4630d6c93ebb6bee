"""`manage.py block ip|sender|domain|ehlo add|remove|list` and `block login list|release`: who is kept out."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from base.actions.action import Target
from base.actions.perform import perform
from security import actions
from security.actions.logins import RELEASE_LOGIN
from security.actions.many import BLACKLIST_MANY, BLOCK_MANY
from security.actions.networks import UNBLACKLIST
from security.actions.senders import UNBLOCK_SMTP
from security.models import BlacklistEntry, Direction, LoginBlock, Protocol, SMTPBlock
from security.shell import add_action, as_row, said, words
from spool.actions.actor import Actor
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, Ended, Output

# (word of the command, kind of block, what one writes)
SENDERS = (
    ("sender", "address", "ADDRESS", "Envelope senders, as ann@example.org or with * for any text."),
    ("domain", "domain", "DOMAIN", "All senders of a domain; *.example.org is all that is below it."),
    ("ehlo", "ehlo", "NAME", "What hosts call themselves in EHLO; answered at AUTH or RCPT."),
)


class Command(VerbCommand):
    help = "Keep addresses, senders and hosts out, or let them in again. In effect within a second."

    def add_arguments(self, parser: Any) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
        _add_networks(kinds)
        for word, kind, metavar, help in SENDERS:
            verbs = kinds.add_parser(word, help=help, description=help).add_subparsers(
                dest="verb", required=True, metavar="VERB"
            )
            add = add_action(verbs, "add", BLOCK_MANY, _add_senders)
            remove = add_action(verbs, "remove", UNBLOCK_SMTP, _remove_senders)
            listed = add_verb(verbs, "list", "What is blocked.", _list_senders)
            listed.add_argument("--direction", choices=("inbound", "outbound"), default="", help="only these")
            for one in (add, remove):
                one.add_argument("patterns", nargs="*", metavar=metavar, help="from standard input when left out")
            for one in (add, remove, listed):
                one.set_defaults(block_kind=kind)
        _add_logins(kinds)


def _add_networks(kinds: Any) -> None:
    help = "IP addresses and networks."
    verbs = kinds.add_parser("ip", help=help, description=help).add_subparsers(
        dest="verb", required=True, metavar="VERB"
    )
    for word, action, run in (("add", BLACKLIST_MANY, _blacklist), ("remove", UNBLACKLIST, _unblacklist)):
        parser = add_action(verbs, word, action, run)
        parser.add_argument("networks", nargs="*", metavar="NETWORK", help="from standard input when left out")
    listed = add_verb(verbs, "list", "What is on the blacklist.", _list_networks)
    listed.add_argument("--protocol", action="append", choices=Protocol.values, help="only these; repeat for more")


def _add_logins(kinds: Any) -> None:
    help = "Logins that were closed after too many wrong passwords."
    verbs = kinds.add_parser("login", help=help, description=help).add_subparsers(
        dest="verb", required=True, metavar="VERB"
    )
    add_verb(verbs, "list", "What is closed, and for how long.", _list_logins)
    release = add_action(verbs, "release", RELEASE_LOGIN, _release_logins)
    release.add_argument("who", metavar="ACCOUNT|ADDRESS", help="an e-mail address or an IP address")


def _blacklist(options: dict[str, Any], output: Output) -> None:
    target = Target.holding("network", words(options, "networks"))
    _tell(perform(BLACKLIST_MANY, Actor.at_the_shell(), target, said(BLACKLIST_MANY, options)).result, options, output)


def _unblacklist(options: dict[str, Any], output: Output) -> None:
    target = Target.of("network", *words(options, "networks"))
    removed = perform(UNBLACKLIST, Actor.at_the_shell(), target, said(UNBLACKLIST, options)).result
    _tell_removed(removed, options, output)


def _list_networks(options: dict[str, Any], output: Output) -> None:
    rows = BlacklistEntry.objects.order_by("network")
    for protocol in options["protocol"] or ():
        rows = rows.filter(**{protocol: True})
    _print([as_row(row) for row in rows.iterator()], output)


def _add_senders(options: dict[str, Any], output: Output) -> None:
    target = Target.holding("pattern", words(options, "patterns"))
    given = {**said(BLOCK_MANY, options), "kind": options["block_kind"]}
    _tell(perform(BLOCK_MANY, Actor.at_the_shell(), target, given).result, options, output)


def _remove_senders(options: dict[str, Any], output: Output) -> None:
    target = Target.of("pattern", *words(options, "patterns"))
    given = {**said(UNBLOCK_SMTP, options), "kind": options["block_kind"]}
    _tell_removed(perform(UNBLOCK_SMTP, Actor.at_the_shell(), target, given).result, options, output)


def _list_senders(options: dict[str, Any], output: Output) -> None:
    rows = SMTPBlock.objects.filter(kind=options["block_kind"]).order_by("pattern")
    if options["direction"]:
        rows = rows.filter(direction__in=[options["direction"], Direction.BOTH])
    _print([as_row(row) for row in rows.iterator()], output)


def _list_logins(options: dict[str, Any], output: Output) -> None:
    rows = LoginBlock.objects.filter(until__gt=timezone.now())
    _print(
        [
            {
                "account": row.account,
                "address": row.ip,
                "reason": row.reason,
                "wrong_passwords": row.failures,
                "since": row.since.isoformat(timespec="seconds"),
                "until": row.until.isoformat(timespec="seconds"),
            }
            for row in rows
        ],
        output,
    )


def _release_logins(options: dict[str, Any], output: Output) -> None:
    if options["dry_run"]:
        opened = actions.blocks_of(options["who"]).count()
    else:
        opened = perform(RELEASE_LOGIN, Actor.at_the_shell(), Target.of("login", options["who"])).result
    output.values({"dry_run": options["dry_run"], "opened": opened})
    if not opened:
        raise Ended(NOTHING, "" if output.as_json else f"No login of {options['who']} is closed.")
    output.line(f"{'Would be opened' if options['dry_run'] else 'Opened'}: {opened:,}.")


def _tell(outcome: actions.Added, options: dict[str, Any], output: Output) -> None:
    would = "Would be done: " if options["dry_run"] else ""
    output.line(f"{would}{outcome}.")
    output.values(
        {
            "dry_run": options["dry_run"],
            "added": outcome.new,
            "listed_already": outcome.present,
            "left_out": outcome.problems,
            "warnings": outcome.warnings,
        }
    )
    for problem in outcome.problems:
        output.line(f"Left out: {problem}")
    for warning in outcome.warnings:
        output.line(f"Warning: {warning}")
    if not outcome.new and not outcome.present:
        raise Ended(NOTHING)


def _tell_removed(removed: int, options: dict[str, Any], output: Output) -> None:
    output.values({"dry_run": options["dry_run"], "removed": removed})
    if not removed:
        raise Ended(NOTHING, "" if output.as_json else "None of them is listed.")
    output.line(f"{'Would be removed' if options['dry_run'] else 'Removed'}: {removed:,}.")


def _print(rows: list[dict[str, Any]], output: Output) -> None:
    output.table(rows)
    if not rows:
        raise Ended(NOTHING, "" if output.as_json else "There are none.")
