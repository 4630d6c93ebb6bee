"""What is done to sites that mail goes to: slow, suspend, resume, retry what waits, forget what was learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from base.actions.action import MOST_NAMED, After, Change, Refused, SingleAction, Target, WayBack, Written
from base.actions.inputs import Input
from base.audit.subjects import Subject
from base.numbers import decimal, grouped
from base.phrases import first_few
from base.times import of_minutes
from spool.actions import audit, jobs
from spool.actions.actor import Actor
from spool.actions.perform import SMALL
from spool.actions.retry_waiting import RetryWaiting
from spool.delivery.shaping import destinations
from spool.flow import doorbell
from spool.models.bulkjob import OPEN, BulkJob
from spool.models.destination import Destination
from spool.models.entry import Entry
from spool.rows import statements

LONGEST_HOURS: Final = 24 * 30
_NOTE: Final = Input(
    "note", _lazy("Note"), placeholder=_lazy("why"), metavar="TEXT", option_help="why, for whoever looks at it"
)


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

    name, label, icon = "destination-slow", _lazy("Slow Down"), "speed"
    undoable = True
    inputs = (
        Input(
            "rate",
            _lazy("Messages per minute"),
            "number",
            help=_lazy("Empty leaves it as it is, 0 is no limit."),
            metavar="N",
            option_help="at most so many; 0 for no limit",
        ),
        Input(
            "connections",
            _lazy("Connections"),
            "number",
            help=_lazy("Empty leaves it as it is, 0 is no limit."),
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
        return _("It holds for all workers, and until it is changed. What is learned may go below it.")

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = super().parameters(given)
        for name in ("rate", "connections"):
            if found[name] is not None and not 0 <= found[name] <= 60_000:
                raise Refused(_("%(found)s is not between 0 and 60,000.") % {"found": found[name]})
        return found

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        rate, connections, note = (parameters[name] for name in ("rate", "connections", "note"))
        if rate is None and connections is None:
            raise Refused(_("Say how many messages a minute, or how many connections."))
        undo, written = None, []
        for key in map(destinations.key_named, target.keys):
            before = destinations.row_of(key)
            row = destinations.slow(key, rate, connections, actor.name, note)
            written.append(_written(str(row), rate=row.rate_by_hand or 0, connections=row.connections_by_hand or 0))
            undo = WayBack(self.name, Target.of("destination", str(row)), _by_hand(before))
        sentence = _("%(target)s: the limits are set.") % {"target": _those(target, written)}
        return Change(sentence, written, undo=undo if len(target.keys) == 1 else None)


class SuspendDestination(DestinationAction):
    """Sends nothing to a site for some hours. What waits spends no attempt."""

    name, label, icon = "destination-suspend", _lazy("Suspend"), "pause_circle"
    undoable = True
    inputs = (
        Input("hours", _lazy("Hours"), "number", suggest=lambda: "1", metavar="N", option_help="for so long; 1"),
        _NOTE,
    )
    danger = True

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("Its mail waits meanwhile, and spends no attempt. Force passes it.")

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = super().parameters(given)
        hours = 1 if found["hours"] is None else found["hours"]
        if not 1 <= hours <= LONGEST_HOURS:
            raise Refused(
                _("%(hours)s hours is not between 1 and %(longest_hours)s.")
                % {"hours": hours, "longest_hours": LONGEST_HOURS}
            )
        return {**found, "hours": hours}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        hours, written = parameters["hours"], []
        was_suspended = any(_is_suspended(row) for row in target.rows)
        for key in map(destinations.key_named, target.keys):
            row = destinations.suspend(key, timedelta(hours=hours), actor.name, parameters["note"])
            written.append(_written(str(row), hours=hours))
        sentence = ngettext(
            "Nothing is sent to %(target)s for %(hours)s hour.",
            "Nothing is sent to %(target)s for %(hours)s hours.",
            hours,
        ) % {"target": _those(target, written), "hours": hours}
        undo = WayBack(RESUME.name, Target.of("destination", *(one.on for one in written)))
        return Change(sentence, written, undo=None if was_suspended else undo)


class ResumeDestination(DestinationAction):
    """Ends a suspension. What waits is tried, at the pace there is."""

    name, label, icon = "destination-resume", _lazy("Resume"), "play_circle"

    def suits(self, target: Target) -> bool:
        return any(row.suspended_until is not None for row in target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("Its mail is tried again. If our address is refused again, it is suspended again.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        resumed = [destinations.resume(destinations.key_named(key), actor.name) for key in target.keys]
        written = [_written(str(row)) for row in resumed if row is not None]
        if not written:
            raise Refused(_("It is not suspended."))
        return Change(
            ngettext("%(target)s gets mail again.", "%(target)s get mail again.", len(written))
            % {"target": _those(target, written)},
            written,
            then=_ring,
        )


class RetryDestination(DestinationAction):
    """Has all that waits for a site tried again, the oldest first, at the pace of its limits."""

    name, label, icon = RetryWaiting.name, _lazy("Retry"), RetryWaiting.icon
    # More than a few are left to a job; and a site after the other.
    in_transaction = False

    def is_due(self, target: Target) -> bool:
        return not any(_is_suspended(row) for row in target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        if len(target.keys) > 1:
            return _("What waits for them is tried again, the oldest first, each at the pace of its limits.")
        pace = destinations.pace_of(destinations.key_named(target.key))
        return _(
            "What waits for it is tried again, the oldest first, %(pace)s messages a minute. Each try is "
            "an attempt; what is on hold stays on hold."
        ) % {"pace": decimal(pace, 0)}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        suspended = [row for row in target.rows if _is_suspended(row)]
        if suspended:
            raise Refused(_("%(suspended)s is suspended: resume it first.") % {"suspended": suspended[0]})
        written, total, longest, in_background = [], 0, timedelta(), []
        for name in target.keys:
            key = destinations.key_named(name)
            ids = destinations.waiting_at(key, SMALL)
            if ids is None:
                in_background.append(_leave_to_a_worker(actor, name))
                continue
            turns = destinations.Turns(key, timezone.now())
            with statements.write_transaction():
                number = turns.give(ids)
            if number:
                written.append(_written(name, messages=number))
            total, longest = total + number, max(longest, turns.span)
        if not written and not in_background:
            raise Refused(_("Nothing waits there for a later attempt."))
        said = [_tried_again(target, written, total, longest)] if written else []
        said += [_goes_on(in_background)] if in_background else []
        return Change(" ".join(said), written, then=_ring)


class ForgetDestination(DestinationAction):
    """Forgets all limits of a site, learned and set by hand."""

    name, label, icon = "destination-forget", _lazy("Forget Limits"), "restart_alt"
    danger = True

    def suits(self, target: Target) -> bool:
        return bool(target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("Its mail goes as fast as settings allow, until it refuses some.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        written = [_written(key) for key in target.keys if destinations.forget(destinations.key_named(key))]
        if not written:
            raise Refused(_("Nothing is limited there."))
        return Change(
            (_("The limits of %(target)s are forgotten.") % {"target": _those(target, written)}), written, then=_ring
        )


def _written(name: str, **parameters: Any) -> Written:
    return Written(name, parameters=parameters, about=Subject("destination", name))


def _leave_to_a_worker(actor: Actor, name: str) -> BulkJob:
    """More than somebody would wait for: the job, or the one that is under way already."""
    open_jobs = BulkJob.objects.filter(action=RetryWaiting.name, state__in=OPEN)
    under_way = next((job for job in open_jobs if job.parameters["destination"] == name), None)
    if under_way is not None:
        return under_way
    now = timezone.now()
    parameters = {"destination": name, "since": now.isoformat()}
    with transaction.atomic():
        event = audit.begin(actor, RetryWaiting.name, name, parameters=parameters, about=Subject("destination", name))
        job = BulkJob.objects.create(
            action=RetryWaiting.name,
            parameters=parameters,
            actor=actor.name,
            last_id=Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0,
            created=now,
            event=event,
        )
    jobs.enqueue(job)
    return job


def _tried_again(target: Target, written: Sequence[Written], total: int, longest: timedelta) -> str:
    within = (
        _(" within %(span)s") % {"span": of_minutes(round(longest.total_seconds() / 60))}
        if longest >= timedelta(minutes=1)
        else ""
    )
    return ngettext(
        "%(target)s: %(total)s message is tried again%(within)s.",
        "%(target)s: %(total)s messages are tried again%(within)s.",
        total,
    ) % {"target": _those(target, written), "total": grouped(total), "within": within}


def _goes_on(in_background: Sequence[BulkJob]) -> str:
    names = first_few([job.parameters["destination"] for job in in_background], MOST_NAMED)
    return ngettext(
        "What waits for %(names)s is tried again in the background (job %(numbers)s).",
        "What waits for %(names)s is tried again in the background (jobs %(numbers)s).",
        len(in_background),
    ) % {"names": names, "numbers": ", ".join(str(job.pk) for job in in_background)}


def _those(target: Target, written: Sequence[Written]) -> str:
    """What it was done to, in a sentence."""
    return (
        written[0].on
        if len(target.keys) == 1
        else (
            _("%(number)s of %(number_2)s destinations")
            % {"number": grouped(len(written)), "number_2": grouped(len(target.keys))}
        )
    )


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
