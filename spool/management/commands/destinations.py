"""`manage.py destinations list|show|slow|suspend|resume|retry|forget`: how much receivers take from us; and
`choices|set|unset`: what administrators choose by domain, mail hosts and provider.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import edits
from base.actions.action import SingleAction
from base.actions.options import add_inputs, given
from base.actions.perform import perform
from spool.actions import destination_rules as rules_of
from spool.actions import destinations as actions
from spool.actions.actor import Actor
from spool.actions.queue import moment_of
from spool.delivery.shaping import destinations, domains, encryption
from spool.delivery.shaping.choices import choices_for
from spool.models.destination_rule import DestinationRule, RuleScope, RuleTLS
from spool.models.settings import current
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, USAGE, Ended, Output


class Command(VerbCommand):
    help = "Sites that mail goes to: what limits hold for them, why, and limits by hand."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add_verb(verbs, "list", "All sites with a limit or a suspension in force.", _list)
        shown = add_verb(verbs, "show", "A site, with what it answered and how mail to it was encrypted last.", _show)
        shown.add_argument("site", metavar="SITE", help="as `list` shows it; or a mail domain, for its encryption")
        for action in (actions.SLOW, actions.SUSPEND, actions.RESUME, actions.RETRY, actions.FORGET):
            verb = add_verb(verbs, action.name.removeprefix("destination-"), action.summary, _done_by(action))
            verb.add_argument("site", metavar="SITE", help="a provider or a set of MX hosts, as `list` shows it")
            add_inputs(verb, action)
        choices = add_verb(
            verbs, "choices", "All rules; or what holds for one domain or site, and where that comes from.", _choices
        )
        choices.add_argument(
            "name", metavar="NAME", nargs="?", default="", help="a domain, provider or set of MX hosts"
        )
        chosen = add_verb(verbs, "set", "Chooses something for a domain, mail hosts, a provider, or all (*).", _set)
        chosen.add_argument("name", metavar="NAME", help=_NAME)
        for option, field, kind in _OPTIONS:
            of_model: Any = DestinationRule._meta.get_field(field)
            help = str(of_model.help_text or of_model.verbose_name).replace("%", "%%")
            values = {"choices": RuleTLS.values} if field == "tls" else {"metavar": option.upper()}
            chosen.add_argument(f"--{option}", dest=field, type=kind, help=help, **values)
        chosen.add_argument(
            "--on", dest="kinds", metavar="KIND: MINUTES [until HOURS]", action="append", default=[], help=_ON
        )
        switch = chosen.add_mutually_exclusive_group()
        switch.add_argument("--on-again", dest="enabled", action="store_const", const=True, help="switch the rule on")
        switch.add_argument("--off", dest="enabled", action="store_const", const=False, help="keep it, and heed it not")
        unset = add_verb(verbs, "unset", "Takes choices back, or the whole rule.", _unset)
        unset.add_argument("name", metavar="NAME", help=_NAME)
        unset.add_argument("choices", metavar="CHOICE", nargs="*", type=_choice, help=", ".join(_UNSET))


def _choice(text: str) -> str:
    # argparse's own choices would have to have the empty list among them, which nothing can complete.
    if text not in _UNSET:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(_UNSET)}")
    return text


_NAME: Final = (
    "example.org, *.example.org, a provider as Google, or *; mail hosts as 'hosts:mx.example.net' or"
    " 'hosts:*.example.net'"
)
_ON: Final = "a schedule for one kind of error, as 'greylisting: 5, 10' or 'mailbox-full: 60 until 48'; may be repeated"
_OPTIONS: Final[tuple[tuple[str, str, Callable[[str], Any]], ...]] = (
    ("retry", "retry_intervals_minutes", str),
    ("expire", "expire_after_hours", int),
    ("connections", "connections", int),
    ("messages", "messages_per_connection", int),
    ("rate", "rate_per_minute", int),
    ("tls", "tls", str),
    ("source", "source_addresses", str),
    ("suspend-until", "suspended_until", moment_of),
    ("reason", "suspended_reason", str),
    ("description", "description", str),
)
_UNSET: Final = {option: field for option, field, _ in _OPTIONS} | {"on": "by_error"}


def _choices(options: dict[str, Any], output: Output) -> None:
    name = options["name"].strip()
    if not name:
        output.table([_rule(row) for row in DestinationRule.objects.all()], nothing="There are no rules.")
        return
    known = domains.sites_of([name]).get(name)
    scope, named = rules_of.key_of(name)
    domain = named if scope is RuleScope.DOMAIN else ""
    site = known.site if known is not None else "" if domain or scope is RuleScope.ALL else named
    output.table(
        [
            {"choice": one.what, "value": one.value, "from": one.where, "by": one.by}
            for one in choices_for(domain.removeprefix("*."), site)
        ]
    )


def _set(options: dict[str, Any], output: Output) -> None:
    scope, name = rules_of.key_of(options["name"])
    row = DestinationRule.objects.filter(scope=scope, name=name).first() or DestinationRule(scope=scope, name=name)
    edits.remember(row)
    given = {field: options[field] for _, field, _ in _OPTIONS if options[field] is not None}
    if options["enabled"] is not None:
        given["enabled"] = options["enabled"]
    if options["kinds"]:
        given["by_error"] = "\n".join(options["kinds"])
    if not given:
        raise Ended(USAGE, "Say what is chosen: --help has the list.")
    for field, value in given.items():
        setattr(row, field, value)
    try:
        row.full_clean()
    except ValidationError as error:
        raise Ended(USAGE, "\n".join(error.messages)) from error
    changed = rules_of.save(Actor.at_the_shell(), row)
    says = "; ".join([*row.says, *_suspension(row)]) or "nothing"
    output.line(f"{row.title}: {says}." if changed else f"{row.title}: nothing was changed.")


def _unset(options: dict[str, Any], output: Output) -> None:
    scope, name = rules_of.key_of(options["name"])
    row = DestinationRule.objects.filter(scope=scope, name=name).first()
    if row is None:
        raise Ended(NOTHING, f"There is no rule for {options['name']}; `destinations choices` shows all.")
    edits.remember(row)
    if not options["choices"]:
        rules_of.remove(Actor.at_the_shell(), row)
        output.line(f"{row.title}: the rule is removed.")
        return
    for choice in options["choices"]:
        field: Any = DestinationRule._meta.get_field(_UNSET[choice])
        setattr(row, field.name, field.get_default())
    rules_of.save(Actor.at_the_shell(), row)
    output.line(f"{row.title}: {'; '.join([*row.says, *_suspension(row)]) or 'nothing is chosen'}.")


def _rule(row: DestinationRule) -> dict[str, Any]:
    return {
        "for": row.title if row.scope in (RuleScope.DOMAIN, RuleScope.ALL) else f"{row.scope}:{row.name}",
        "says": "; ".join(row.says),
        "suspended": row.suspended_until or "",
        "enabled": "yes" if row.enabled else "no",
        "by": row.by,
        "changed": row.changed,
    }


def _suspension(row: DestinationRule) -> list[str]:
    return [f"suspended until {row.suspended_until:%Y-%m-%d %H:%M} UTC"] if row.suspended_until is not None else []


def _list(options: dict[str, Any], output: Output) -> None:
    output.table(
        [_row(site) for site in destinations.sites()], nothing="No destination is slowed, and none takes no mail."
    )


def _show(options: dict[str, Any], output: Output) -> None:
    key = destinations.key_named(options["site"])
    row = destinations.row_of(key)
    is_active = current().adapt_pace
    site = destinations.site_of(row, timezone.now(), is_active=is_active) if row is not None else None
    encrypted = encryption.encryption_of([key]).get(key, []) or encryption.encryption_for(options["site"].strip())
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
        "messages a connection": "" if site.messages is None else site.messages,
        "suspended": site.suspended_until or "",
        "reason": site.reason,
        "since": site.since,
        "by": site.by or "learned",
        "in force": "yes" if site.is_in_force else "no: slow down for destinations is off",
    }
