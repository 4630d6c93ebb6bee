"""`manage.py incident show|stop|false-alarm KEY`: the incident page from the shell, and what is done there."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from base.actions import registry
from base.actions.action import SingleAction, Target
from base.actions.options import add_inputs, given
from base.actions.perform import perform, preview
from base.times import exact
from mailspool.incident.events import events
from mailspool.incident.evidence import evidence
from mailspool.incident.false_alarm import FALSE_ALARM
from mailspool.incident.stop import STOP
from mailspool.incident.things import Thing, kind_of_key, thing_named
from spool.actions.actor import Actor
from spool.filters import count
from spool.shell.actions import add_consent, agree
from spool.shell.command import VerbCommand
from spool.shell.output import NOTHING, Ended, Output, add_json


class Command(VerbCommand):
    help = "Look into a user, an address, an IP address or a domain; stop it, and take that back."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        show = verbs.add_parser("show", help="what is known of it")
        show.set_defaults(run=_show)
        for action in (STOP, FALSE_ALARM):
            one = verbs.add_parser(action.name, help=action.summary, description=action.summary)
            add_inputs(one, action)
            add_consent(one)
            one.set_defaults(run=_do, action=action)
        for one in verbs.choices.values():
            one.add_argument("key", metavar="ADDRESS|IP|DOMAIN", help="a user, any other address, an IP or a domain")
            add_json(one)


def _show(options: dict[str, Any], output: Output) -> None:
    thing = _thing(options["key"])
    found = evidence(thing)
    groups = {group.name: [f"{row.number:,} {row.words}" for row in group.rows] for group in found.groups}
    happened = [f"{exact(one.at)} {one.what}: {one.words}" for one in events(thing, timezone.now())]
    output.fields(
        {
            "kind": thing.kind,
            "key": thing.key,
            "in spool": str(count(thing.filters[0])),
            "looked at": found.number,
            "is sample": found.is_sample,
            **groups,
            "events": happened,
        }
    )


def _do(options: dict[str, Any], output: Output) -> None:
    action: SingleAction[Any] = options["action"]
    thing, actor = _thing(options["key"]), Actor.at_the_shell()
    target = registry.thing(thing.kind, thing.key) or Target.of(thing.kind, thing.key)
    wanted = given(action, options)
    try:
        shown = preview(action, actor, target, wanted)
        if options["dry_run"]:
            output.line(shown.effect)
            output.values({"key": thing.key, "kind": thing.kind, "effect": shown.effect})
            return
        if not options["yes"]:
            agree(lambda: output.line(shown.effect), options)
        done = perform(action, actor, target, wanted)
    except ValidationError as error:
        raise Ended(NOTHING, " ".join(error.messages)) from error
    output.line(done.sentence)
    output.values({"key": thing.key, "kind": thing.kind, "outcome": done.sentence, "good": done.good})
    if not done.good:
        raise Ended(NOTHING)


def _thing(key: str) -> Thing:
    kind = kind_of_key(key)
    thing = thing_named(kind, key) or (thing_named("sender", key) if kind == "user" else None)
    if thing is None:
        raise Ended(NOTHING, f"{key} is no address, IP address or domain.")
    return thing
