"""What is done to sites that mail goes to: slow, suspend, resume, retry what waits, forget what was learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from base.actions.action import After, Change, Refused, SingleAction, Target, WayBack, Written
from base.actions.inputs import Input
from base.audit.subjects import Subject
from base.times import of_minutes
from spool.actions.actor import Actor
from spool.delivery.shaping import destinations
from spool.flow import doorbell
from spool.models.destination import Destination

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
    takes_many = True

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()


class SlowDestination(DestinationAction):
    """Sends no faster to a site, and over no more connections, whatever it would take."""

    name, label, icon = "destination-slow", "Slow Down", "speed"
    undoable = True
    inputs = (
        Input(
            "rate",
            "Messages per minute",
            "number",
            help="Empty leaves it as it is, 0 is no limit.",
            metavar="N",
            option_help="at most so many; 0 for no limit",
        ),
        Input(
            "connections",
            "Connections",
            "number",
            help="Empty leaves it as it is, 0 is no limit.",
            metavar="N",
            option_help="at most so many; 0 for no limit",
        ),
        _NOTE,
    )

    def suggested(self, target: Target) -> dict[str, Any]:
        if len(target.keys) != 1 or not target.rows:
            return {}
        row = target.rows[0]
        set_by_hand = {"rate": row.rate_by_hand, "connections": row.connections_by_hand}
        return {name: "" if value is None else round(value) for name, value in set_by_hand.items()} | {"note": row.note}

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return "It holds for all workers, and until it is changed. What is learned may go below it."

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = super().parameters(given)
        for name in ("rate", "connections"):
            if found[name] is not None and not 0 <= found[name] <= 60_000:
                raise Refused(f"{found[name]} is not between 0 and 60,000.")
        return found

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        rate, connections, note = (parameters[name] for name in ("rate", "connections", "note"))
        if rate is None and connections is None:
            raise Refused("Say how many messages a minute, or how many connections.")
        undo, written = None, []
        for key in map(destinations.key_named, target.keys):
            before = destinations.row_of(key)
            row = destinations.slow(key, rate, connections, actor.name, note)
            written.append(_written(str(row), rate=row.rate_by_hand or 0, connections=row.connections_by_hand or 0))
            undo = WayBack(self.name, Target.of("destination", str(row)), _by_hand(before))
        sentence = f"{_those(target, written)}: the limits are set."
        return Change(sentence, written, undo=undo if len(target.keys) == 1 else None)


class SuspendDestination(DestinationAction):
    """Sends nothing to a site for some hours. What waits spends no attempt."""

    name, label, icon = "destination-suspend", "Suspend", "pause_circle"
    undoable = True
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
        hours, written = parameters["hours"], []
        was_suspended = any(_is_suspended(row) for row in target.rows)
        for key in map(destinations.key_named, target.keys):
            row = destinations.suspend(key, timedelta(hours=hours), actor.name, parameters["note"])
            written.append(_written(str(row), hours=hours))
        gets = "gets" if len(written) == 1 else "get"
        sentence = f"{_those(target, written)} {gets} nothing for {hours} hour{'' if hours == 1 else 's'}."
        undo = WayBack(RESUME.name, Target.of("destination", *(one.on for one in written)))
        return Change(sentence, written, undo=None if was_suspended else undo)


class ResumeDestination(DestinationAction):
    """Ends a suspension. What waits is tried, at the pace there is."""

    name, label, icon = "destination-resume", "Resume", "play_circle"

    def suits(self, target: Target) -> bool:
        return any(row.suspended_until is not None for row in target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return "Its mail is tried again. If our address is refused again, it is suspended again."

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        resumed = [destinations.resume(destinations.key_named(key), actor.name) for key in target.keys]
        written = [_written(str(row)) for row in resumed if row is not None]
        if not written:
            raise Refused("It is not suspended.")
        return Change(
            f"{_those(target, written)} {'gets' if len(written) == 1 else 'get'} mail again.", written, then=_ring
        )


class RetryDestination(DestinationAction):
    """Has all that waits for a site tried again, the oldest first, at the pace of its limits."""

    name, label, icon = "destination-retry", "Retry", "replay"
    # A part at a time: there may be very much of it.
    in_transaction = False

    def is_due(self, target: Target) -> bool:
        return not any(_is_suspended(row) for row in target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        if len(target.keys) > 1:
            return "What waits for them is tried again, the oldest first, each at the pace of its limits."
        pace = destinations.pace_of(destinations.key_named(target.key))
        return (
            f"What waits for it is tried again, the oldest first, {pace:,.0f} messages a minute. Each try is an"
            " attempt; what is on hold stays on hold."
        )

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        suspended = [row for row in target.rows if _is_suspended(row)]
        if suspended:
            raise Refused(f"{suspended[0]} is suspended: resume it first.")
        written, total, longest, more = [], 0, timedelta(), False
        for name in target.keys:
            number, span = destinations.retry(destinations.key_named(name))
            if number:
                written.append(_written(name, messages=number))
            total, longest = total + number, max(longest, span)
            more = more or number >= destinations.MOST_RETRIED
        if not written:
            raise Refused("Nothing waits there for a later attempt.")
        within = f" within {of_minutes(round(longest.total_seconds() / 60))}" if longest >= timedelta(minutes=1) else ""
        rest = " Do it again for the rest." if more else ""
        has = "message is" if total == 1 else "messages are"
        return Change(f"{_those(target, written)}: {total:,} {has} tried again{within}.{rest}", written, then=_ring)


class ForgetDestination(DestinationAction):
    """Forgets all limits of a site, learned and set by hand."""

    name, label, icon = "destination-forget", "Forget Limits", "restart_alt"
    danger = True

    def suits(self, target: Target) -> bool:
        return bool(target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return "Its mail goes as fast as settings allow, until it refuses some."

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        written = [_written(key) for key in target.keys if destinations.forget(destinations.key_named(key))]
        if not written:
            raise Refused("Nothing is limited there.")
        return Change(f"The limits of {_those(target, written)} are forgotten.", written, then=_ring)


def _written(name: str, **parameters: Any) -> Written:
    return Written(name, parameters=parameters, about=Subject("destination", name))


def _those(target: Target, written: Sequence[Written]) -> str:
    """What it was done to, in a sentence."""
    return written[0].on if len(target.keys) == 1 else f"{len(written):,} of {len(target.keys):,} destinations"


def _by_hand(row: Destination | None) -> dict[str, Any]:
    """What brings back what had been set by hand."""
    if row is None:
        return {"rate": 0, "connections": 0, "note": ""}
    return {"rate": round(row.rate_by_hand or 0), "connections": row.connections_by_hand or 0, "note": row.note}


def _is_suspended(row: Destination) -> bool:
    return row.suspended_until is not None and row.suspended_until > timezone.now()


def _ring(written: Sequence[Any]) -> After:
    doorbell.ring()
    return After()


SLOW, SUSPEND, RESUME = SlowDestination(), SuspendDestination(), ResumeDestination()
RETRY, FORGET = RetryDestination(), ForgetDestination()
