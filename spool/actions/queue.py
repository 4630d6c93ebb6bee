"""Actions that change when and in which order entries are tried: they touch columns of the entry, and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.actions.inputs import Input
from spool.actions.verb import Context, Progress, Refused, Tally, Verb, claim
from spool.events.actions import by_itself, changed
from spool.filters import BadFilter, parse_age
from spool.filters.fields import PRIORITIES
from spool.flow import doorbell
from spool.models.entry import Entry, Priority
from spool.models.settings import current
from spool.rows import changes, statements

LONGEST_REASON = 255


class Force(Verb):
    """High priority and due now. An entry on the wire gets the priority; what is on hold stays on hold."""

    name, label, past = "force", _lazy("Force"), _lazy("forced")
    icon = "bolt"

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return _("They get high priority and are tried now. What is on hold stays on hold.")

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        with statements.write_transaction():
            claimed = claim(ids, context.now)
            done = changes.force(claimed.free, context.now)
            changed(context, "forced", _those(claimed.free))
            if claimed.busy:
                changes.set_priority(sorted({*ids} - {*claimed.free}), Priority.HIGH)
            progress(Tally(done) + claimed.others, ids[-1])
        doorbell.ring()


class ResetRetries(Verb):
    """Starts delivery over, from the delivery delay."""

    name, label, past = "reset", _lazy("Reset Retries"), _lazy("started over")
    icon = "restart_alt"

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return _("Their attempts are counted from 0 again, and delivery starts over with the delivery delay.")

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        due = context.now + timedelta(seconds=current().delivery_delay_seconds)
        with statements.write_transaction():
            claimed = claim(ids, context.now)
            done = changes.start_over(claimed.free, due)
            changed(context, "reset", _those(claimed.free))
            progress(Tally(done) + claimed.others, ids[-1])
        doorbell.ring()


class ChangePriority(Verb):
    """Low, normal or high; harmless to an entry on the wire, so that gets it too."""

    name, label, past = "priority", _lazy("Change Priority"), _lazy("given another priority")
    icon = "low_priority"
    inputs = (
        Input(
            "priority",
            _lazy("Priority"),
            "choice",
            choices=tuple(reversed(PRIORITIES)),
            option_help="the new priority",
            is_positional=True,
        ),
    )

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        text = str(given.get("priority", "")).lower()
        if text in PRIORITIES:
            return {"priority": PRIORITIES[text]}
        if text.isdigit() and int(text) in PRIORITIES.values():
            return {"priority": int(text)}
        raise Refused(_("The priority is low, normal or high."))

    def past_of(self, parameters: Mapping[str, Any]) -> str:
        return _("given %(lower)s priority") % {"lower": Priority(parameters["priority"]).label.lower()}

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return _("They get %(lower)s priority.") % {"lower": Priority(parameters["priority"]).label.lower()}

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        with statements.write_transaction():
            done = changes.set_priority(ids, Priority(parameters["priority"]))
            changed(context, "priority", _those(ids), priority=Priority(parameters["priority"]).name.lower())
            gone = len(ids) - done
            progress(Tally(done, 0, gone, "already gone" if gone else ""), ids[-1])


class Hold(Verb):
    """No worker takes the entry until it is released, or until the time that was given."""

    name, label, past = "hold", _lazy("Hold"), _lazy("put on hold")
    icon = "pause_circle"
    inputs = (
        Input(
            "reason",
            _lazy("Reason"),
            placeholder=_lazy("Seen by everyone who opens the message"),
            option_help="why, for other administrators",
        ),
        Input(
            "until",
            _lazy("Until"),
            "moment",
            help=_lazy("Leave empty to hold until somebody releases it."),
            option_help="released by itself then: 2h, 3d, 2026-12-31 18:00",
            metavar="TIME",
        ),
    )

    def suits(self, row: Any) -> bool:
        return not row.hold

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        reason = " ".join(str(given.get("reason", "")).split())[:LONGEST_REASON]
        until = given.get("until") or None
        if isinstance(until, str):
            until = moment_of(until)
        if until is not None and until <= timezone.now():
            raise Refused(_("The end of the hold is past already."))
        return {"reason": reason, "until": until.isoformat() if until else ""}

    def effect(self, parameters: Mapping[str, Any]) -> str:
        if parameters["until"]:
            said = _("They are not tried until %(until)s. They still expire by their age once they are released.")
            return said % {"until": _shown(parameters["until"])}
        return _("They are not tried until they are released. They still expire by their age then.")

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        until = datetime.fromisoformat(parameters["until"]) if parameters["until"] else None
        reason = parameters["reason"] or f"Put on hold by {context.actor}"[:LONGEST_REASON]
        with statements.write_transaction():
            claimed = claim(ids, context.now)
            done = changes.hold(claimed.free, reason, until)
            changed(context, "held", _those(claimed.free), why=reason, until=parameters["until"])
            progress(Tally(done) + claimed.others, ids[-1])


class Release(Verb):
    """Ends a hold: an entry goes on where it was, or at once when that is past."""

    name, label, past = "release", _lazy("Release"), _lazy("released")
    icon = "play_circle"

    def suits(self, row: Any) -> bool:
        return bool(row.hold)

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return _("Those on hold are tried again: at their next attempt, or now when that is past.")

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        with statements.write_transaction():
            changed(context, "released", _those(ids).filter(hold=True))
            done = changes.release(ids, context.now)
            other = len(ids) - done
            progress(Tally(done, 0, other, "were not on hold" if other else ""), ids[-1])
        doorbell.ring()


def release_expired(now: datetime) -> int:
    """End the holds whose time is over; how many. The sweep calls it."""
    released = 0
    while ids := list(Entry.objects.filter(hold_until__lte=now).values_list("id", flat=True)[:1000]):
        with statements.write_transaction():
            names = _those(ids).filter(hold=True).values_list("file_name", flat=True)
            by_itself("released", list(names), "the time of its hold is over")
            released += changes.release(ids, now)
            # Whatever has an end of hold and is not on hold would be found again for ever.
            changes.clear_hold_until(ids)
    return released


def _those(ids: Sequence[int]) -> QuerySet[Entry]:
    return Entry.objects.filter(id__in=ids)


def moment_of(text: str) -> datetime:
    """The time that `2h`, `3d` from now or `2026-12-31 18:00` means. Raises Refused."""
    try:
        return timezone.now() + parse_age(text)
    except BadFilter:
        pass
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise Refused(_("%(text)s is no time; write 2h, 3d or 2026-12-31 18:00.") % {"text": f"{text!r}"})
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def _shown(text: str) -> str:
    return f"{timezone.localtime(datetime.fromisoformat(text)):%Y-%m-%d %H:%M %Z}"
