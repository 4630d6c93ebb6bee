"""What a person says to an alert that goes on: I take care of it, or be silent about it until then."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actor import Actor
from base.action import record
from base.audit.subjects import Subject, subject_of
from base.languages import in_source
from base.numbers import decimal, grouped
from spool.alerts.watches import watch_of
from spool.models import AlertEvent


def sentence_of(event: AlertEvent) -> str:
    """What goes on, in a sentence without its end."""
    return watch_of(event.kind).sentence(event.key, event.value, event.rule)


def measured(event: AlertEvent) -> str:
    """What was measured last, and how far it went: "0 now, up to 515 messages (threshold 300)"."""
    watch = watch_of(event.kind)
    furthest = {"furthest": watch.amount(event.highest), "threshold": grouped(event.threshold)}
    if event.value == event.highest:
        return _("%(furthest)s (threshold %(threshold)s)") % furthest
    now = furthest | {"value": decimal(event.value, 0)}
    if watch.is_below:
        return _("%(value)s now, down to %(furthest)s (threshold %(threshold)s)") % now
    return _("%(value)s now, up to %(furthest)s (threshold %(threshold)s)") % now


def acknowledge(actor: Actor, event: AlertEvent) -> str:
    """Somebody takes care of it: it is listed, and counted no more. Raises NotAllowed."""
    actor.require_administration()
    with transaction.atomic():
        event.acknowledged, event.acknowledged_by = timezone.now(), actor.name
        event.save(update_fields=["acknowledged", "acknowledged_by"])
        record(actor, "acknowledge alert", in_source(lambda: sentence_of(event)), about=_about(event))
    return "Acknowledged."


def mute(actor: Actor, event: AlertEvent, until: datetime) -> str:
    """Neither it nor the next of its rule about the same is shown or told until then. Raises NotAllowed."""
    actor.require_administration()
    with transaction.atomic():
        event.muted_until = until
        event.save(update_fields=["muted_until"])
        record(
            actor,
            "mute alert",
            in_source(lambda: sentence_of(event)),
            parameters={"until": until.isoformat()},
            about=_about(event),
        )
    return _("Muted until %(localtime)s.") % {"localtime": f"{timezone.localtime(until):%Y-%m-%d %H:%M}"}


def unmute(actor: Actor, event: AlertEvent) -> str:
    """Show and tell of it again. Raises NotAllowed."""
    actor.require_administration()
    with transaction.atomic():
        AlertEvent.objects.filter(rule=event.rule, key=event.key, muted_until__gt=timezone.now()).update(
            muted_until=None
        )
        event.muted_until = None
        record(actor, "unmute alert", in_source(lambda: sentence_of(event)), about=_about(event))
    return "Unmuted."


def _about(event: AlertEvent) -> Subject | None:
    return subject_of(event.rule) if event.rule is not None else None
