"""What is done to sites that mail goes to: slow, suspend, resume, forget what was learned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from base.actions.action import Change, Refused, SingleAction, Target, Written
from base.actions.inputs import Input
from base.audit.subjects import Subject
from spool.actions.actor import Actor
from spool.delivery.shaping import destinations

LONGEST_HOURS: Final = 24 * 30
_NOTE: Final = Input("note", "Note", placeholder="why", metavar="TEXT", option_help="why, for whoever looks at it")


def destination_named(name: str) -> Target | None:
    """A site, as `Google` or `Google from 192.0.2.1`, whether or not anything is known of it."""
    key = destinations.key_named(name)
    if not key.site:
        return None
    row = destinations.row_of(key)
    return Target("destination", (str(row) if row else name.strip(),), (row,) if row else ())


class DestinationAction(SingleAction[Actor]):
    """For system administrators alone."""

    kinds = ("destination",)

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()


class SlowDestination(DestinationAction):
    """Sends no faster to a site, and over no more connections, whatever it would take."""

    name, label, icon = "destination-slow", "Slow Down", "speed"
    inputs = (
        Input(
            "rate", "Messages per minute", "number", help="0 for no limit", metavar="N", option_help="at most so many"
        ),
        Input(
            "connections", "Connections", "number", help="0 for no limit", metavar="N", option_help="at most so many"
        ),
        _NOTE,
    )

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return "It holds for all workers, and until it is changed. What is learned may go below it."

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = super().parameters(given)
        for name in ("rate", "connections"):
            if found[name] is not None and not 0 <= found[name] <= 60_000:
                raise Refused(f"{found[name]} is not between 0 and 60,000.")
        return found

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        rate, connections = parameters["rate"] or None, parameters["connections"] or None
        key = destinations.key_named(target.key)
        row = destinations.slow(key, rate, connections, actor.name, parameters["note"])
        return Change(f"{row}: the limits are set.", [_written(str(row), rate=rate or 0, connections=connections or 0)])


class SuspendDestination(DestinationAction):
    """Sends nothing to a site for some hours. What waits spends no attempt."""

    name, label, icon = "destination-suspend", "Suspend", "pause_circle"
    inputs = (Input("hours", "Hours", "number", suggest=lambda: "1", metavar="N", option_help="for so long; 1"), _NOTE)
    danger = True

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return "Its mail waits meanwhile, and spends no attempt. Force passes it."

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = super().parameters(given)
        hours = 1 if found["hours"] is None else found["hours"]
        if not 1 <= hours <= LONGEST_HOURS:
            raise Refused(f"{hours} hours is not between 1 and {LONGEST_HOURS}.")
        return {**found, "hours": hours}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        span = timedelta(hours=parameters["hours"])
        row = destinations.suspend(destinations.key_named(target.key), span, actor.name, parameters["note"])
        return Change(
            f"{row} gets nothing for {parameters['hours']} hours.", [_written(str(row), hours=parameters["hours"])]
        )


class ResumeDestination(DestinationAction):
    """Ends a suspension. What waits is tried, at the pace there is."""

    name, label, icon = "destination-resume", "Resume", "play_circle"

    def suits(self, target: Target) -> bool:
        return bool(target.rows) and target.rows[0].suspended_until is not None

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return "Its mail is tried again. If our address is refused again, it is suspended again."

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        row = destinations.resume(destinations.key_named(target.key), actor.name)
        if row is None:
            raise Refused("It is not suspended.")
        return Change(f"{row} gets mail again.", [_written(str(row))])


class ForgetDestination(DestinationAction):
    """Forgets all limits of a site, learned and set by hand."""

    name, label, icon = "destination-forget", "Forget Limits", "restart_alt"
    danger = True

    def suits(self, target: Target) -> bool:
        return bool(target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return "Its mail goes as fast as settings allow, until it refuses some."

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        if not destinations.forget(destinations.key_named(target.key)):
            raise Refused("Nothing is limited there.")
        return Change(f"The limits of {target} are forgotten.", [_written(target.key)])


def _written(name: str, **parameters: Any) -> Written:
    return Written(name, parameters=parameters, about=Subject("destination", name))


SLOW, SUSPEND, RESUME, FORGET = SlowDestination(), SuspendDestination(), ResumeDestination(), ForgetDestination()
