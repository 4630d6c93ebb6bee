"""`manage.py destinations list|show|slow|suspend|resume|retry|forget`: how much receivers take from us."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from base.actions.action import SingleAction
from base.actions.options import add_inputs, given
from base.actions.perform import perform
from spool.actions import destinations as actions
from spool.actions.actor import Actor
from spool.delivery.shaping import destinations, encryption
from spool.models.settings import current
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, Ended, Output


class Command(VerbCommand):
    help = "Sites that mail goes to: what limits hold for them, why, and limits by hand."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add_verb(verbs, "list", "All sites with a limit or a suspension in force.", _list)
        shown = add_verb(verbs, "show", "A site, with what it answered and how mail to it was encrypted last.", _show)
        shown.add_argument("site", metavar="SITE", help="as `list` shows it")
        for action in (actions.SLOW, actions.SUSPEND, actions.RESUME, actions.RETRY, actions.FORGET):
            verb = add_verb(verbs, action.name.removeprefix("destination-"), action.summary, _done_by(action))
            verb.add_argument("site", metavar="SITE", help="a provider or a set of MX hosts, as `list` shows it")
            add_inputs(verb, action)


def _list(options: dict[str, Any], output: Output) -> None:
    output.table([_row(site) for site in destinations.sites()])


def _show(options: dict[str, Any], output: Output) -> None:
    key = destinations.key_named(options["site"])
    row = destinations.row_of(key)
    is_active = current().adapt_pace
    site = destinations.site_of(row, timezone.now(), is_active=is_active) if row is not None else None
    encrypted = encryption.encryption_of([key]).get(key, [])
    if site is None and not encrypted:
        raise Ended(NOTHING, f"Nothing is limited for {options['site']}, and no connection to it is known.")
    if site is not None:
        output.fields({**_row(site), "note": site.note, "changed": site.changed})
        output.table([dict(one) for one in reversed(site.evidence)])
    output.table([_connection(one) for one in encrypted])


def _connection(one: encryption.Encryption) -> dict[str, Any]:
    """Of each kind of proof the newest."""
    return {
        "verified by": one.proof.value,
        "tls": one.tls or "clear text",
        "host": one.host,
        "domain": one.domain,
        "at": one.at,
    }


def _done_by(action: SingleAction[Actor]) -> Any:
    def run(options: dict[str, Any], output: Output) -> None:
        target = actions.destination_named(options["site"])
        if target is None or not action.suits(target):
            raise Ended(
                NOTHING, f"Nothing of that kind is in force for {options['site']}; `destinations list` shows all."
            )
        output.line(perform(action, Actor.at_the_shell(), target, given(action, options)).sentence)

    return run


def _row(site: destinations.Site) -> dict[str, Any]:
    return {
        "site": site.key,
        "rate": round(site.rate, 1) if site.rate is not None else "",
        "connections": "" if site.connections is None else site.connections,
        "suspended": site.suspended_until or "",
        "reason": site.reason,
        "since": site.since,
        "by": site.by or "learned",
        "in force": "yes" if site.is_in_force else "no: slow down for destinations is off",
    }
