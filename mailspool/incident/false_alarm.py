"""False alarm: the way back of Stop, all of it at once. What was decided before, or by others meanwhile, stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext, override

from accounts import containing
from accounts.account_actions import of_users
from accounts.models import Containment
from base.actions.action import After, Change, NotAllowed, Refused, Target, Written
from base.actions.inputs import Input
from base.actions.perform import perform
from base.audit.models import AuditEvent
from base.facts import Fact, counted_fact, fact, kept, of_error
from base.languages import SOURCE
from base.numbers import grouped
from mailspool.incident.stop import BACK, MOST_AT_ONCE, NAME, IncidentAction, reason_of, sentence_of, subject_of
from mailspool.incident.things import Thing
from security.actions.networks import UNBLOCK
from security.actions.senders import END_INBOUND
from spool import actions as spool_actions
from spool.actions import jobs, undo_event
from spool.actions.actor import Actor
from spool.addressing import RefusedRecipient
from spool.alerts import own_mail
from spool.flow.intake import IntakeError
from spool.models import BulkJob, Entry
from spool.models.bulkjob import OPEN

_BATCH = 10_000
_PROBLEMS = (Refused, NotAllowed, RefusedRecipient, IntakeError, ValidationError)


class FalseAlarm(IncidentAction):
    """Takes back all that Stop did: account, password, mail, blocks."""

    name, label, icon = BACK, _lazy("False alarm"), "lock_open"
    inputs = (
        Input(
            "tell",
            _lazy("Tell those who were told"),
            "check",
            option_help="tell those who were told that it was nothing",
        ),
    )

    def suggested(self, target: Target) -> dict[str, Any]:
        return {"tell": "1"}

    def is_due(self, target: Target) -> bool:
        return bool(stopped(Thing(target.kind, target.key)))

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        did = [event.parameters.get("did", {}) for event in stopped(Thing(target.kind, target.key))]
        if not did:
            raise Refused(
                _("%(target)s is not stopped; somebody may have taken it back meanwhile.") % {"target": target}
            )
        said = []
        if any("contained" in one for one in did):
            said.append(_("The account has its status and its old password again, and its mail goes on."))
        if number := sum(_left(one["deleted"]) for one in did if "deleted" in one):
            said.append(
                ngettext(
                    "%(number)s deleted message put back into the spool.",
                    "%(number)s deleted messages put back into the spool.",
                    number,
                )
                % {"number": grouped(number)}
            )
        if any("held" in one for one in did):
            said.append(_("What was put on hold for it is released."))
        if ips := [ip for one in did for ip in one.get("blocked", ())]:
            said.append(_("No longer blocked: %(ips)s.") % {"ips": ", ".join(ips)})
        if any("refused" in one for one in did):
            said.append(_("Mail from %(target)s is taken again.") % {"target": target})
        if told := [to for one in did for to in one.get("told", ())]:
            said.append(_("%(told)s: told, if you say so.") % {"told": ", ".join(told)})
        return " ".join(said) or _("Nothing of it is left to take back.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        thing = Thing(target.kind, target.key)
        events = stopped(thing)
        # Whoever is second finds nothing.
        taken = [event for event in events if AuditEvent.objects.filter(pk=event.pk, undone=0).update(undone=1)]
        if not taken:
            raise Refused(
                _("%(target)s is not stopped; somebody may have taken it back meanwhile.") % {"target": target}
            )

        def go_back(records: Sequence[AuditEvent]) -> After:
            [record] = records
            return _go_back(actor, thing, taken, record, tell=parameters["tell"])

        begun = Written(thing.key, parameters={"facts": kept([fact("Begun")])}, about=subject_of(thing))
        return Change("", [begun], then=go_back)


FALSE_ALARM = FalseAlarm()


def stopped(thing: Thing) -> list[AuditEvent]:
    """What Stop did to a thing and nobody has taken back, newest first."""
    return list(
        AuditEvent.objects.filter(key=thing.key, kind=thing.kind, action=NAME, undone=0).order_by("-at", "-id")[:20]
    )


def _go_back(actor: Actor, thing: Thing, events: Sequence[AuditEvent], record: AuditEvent, *, tell: bool) -> After:
    steps: list[Callable[[], list[Fact]]] = []
    for event in events:
        did = event.parameters.get("did", {})
        # First what was deleted: it comes back as it was, on hold with the account, and goes on with it.
        if "deleted" in did:
            steps.append(lambda pk=did["deleted"]: _put_back(actor, pk))  # type: ignore[misc]
        if "contained" in did:
            steps.append(lambda: _open(actor, thing))
        if "held" in did:
            steps.append(lambda event=event: _release(actor, event))  # type: ignore[misc]
        steps += [lambda ip=ip: _unblock(actor, ip) for ip in did.get("blocked", ())]  # type: ignore[misc]
        if "refused" in did:
            steps.append(lambda: _take_again(actor, thing))
        if tell:
            steps += [lambda to=to: _tell(actor, thing, to) for to in did.get("told", ())]  # type: ignore[misc]
    said, good = list[Fact](), True
    for step in steps:
        try:
            with override(SOURCE):
                said += step()
        except _PROBLEMS as error:
            good = False
            said.append(fact("Not taken back: %(error)s", error=of_error(error, sentence_of)))
        record.parameters = {"facts": kept(said)}
        record.save(update_fields=["parameters"])
    return After(" ".join(map(str, said)) or _("Nothing was left to take back."), good)


def _left(event_id: int) -> int:
    return int(undo_event.rows_of(event_id).count())


def _put_back(actor: Actor, event_id: int) -> list[Fact]:
    _cancel(actor, event_id)
    number = _left(event_id)
    if not number:
        return [fact("Nothing of what was deleted is left to put back.")]
    outcome = undo_event.undo(actor, event_id=event_id, background=number > MOST_AT_ONCE)
    if not outcome.finished:
        return [fact("%(number)s deleted messages are being put back in the background.", number=number)]
    return [
        counted_fact(
            "%(number)s deleted message put back.", "%(number)s deleted messages put back.", outcome.event.done
        )
    ]


def _cancel(actor: Actor, event_id: int) -> None:
    """What is still being done in the background is not done any further."""
    for job_id in BulkJob.objects.filter(event_id=event_id, state__in=OPEN).values_list("id", flat=True):
        jobs.cancel(job_id, actor)


def _open(actor: Actor, thing: Thing) -> list[Fact]:
    if thing.user is None or not Containment.objects.open().filter(user=thing.user).exists():
        return [fact("The account was opened already.")]
    done: list[Fact] = perform(containing.UNCONTAIN, actor, of_users([thing.user]), {"old_password": "1"}).result
    return done


def _take_again(actor: Actor, thing: Thing) -> list[Fact]:
    perform(END_INBOUND, actor, Target.of(thing.kind, thing.key))
    return [fact("Mail from %(key)s is taken again.", key=thing.key)]


def _release(actor: Actor, event: AuditEvent) -> list[Fact]:
    """What this put on hold, and nothing that somebody else did."""
    _cancel(actor, event.parameters["did"]["held"])
    held = Entry.objects.held().filter(hold_reason=reason_of(event)).order_by("id")  # type: ignore[attr-defined]
    released = last = 0
    while ids := list(held.filter(id__gt=last).values_list("id", flat=True)[:_BATCH]):
        last = ids[-1]
        released += spool_actions.perform("release", ids, actor, background=False).event.done
    return [counted_fact("%(number)s message released.", "%(number)s messages released.", released)]


def _unblock(actor: Actor, ip: str) -> list[Fact]:
    perform(UNBLOCK, actor, Target.of("ip", ip))
    return [fact("%(ip)s is no longer blacklisted.", ip=ip)]


def _tell(actor: Actor, thing: Thing, to: str) -> list[Fact]:
    text = f"{thing.label} {thing.key}: it was a false alarm. {actor.name} has taken back what was done.\n"
    own_mail.send(to, f"{thing.label} {thing.key}: false alarm", text, timezone.now())
    return [fact("%(to)s was told.", to=to)]
