"""Telling people and programs of an alert: written down first, then sent, and sent again until it has arrived."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as django_settings

from accounts.actor import Actor
from base.action import record
from base.audit.subjects import subject_of
from base.languages import in_source
from base.sealed import CannotUnseal, unseal
from spool.addressing import RefusedRecipient
from spool.alerts import own_mail, webhook
from spool.alerts.watches import watch_of
from spool.flow import intake
from spool.message.summary import storable
from spool.models import AlertEvent, AlertKind, AlertNotice, AlertRule

log = logging.getLogger(__name__)

# A notice that fails is tried again after so many seconds, then given up.
PAUSES = (30, 60, 300, 900, 3600)
# While one is being sent, nobody else takes it.
CLAIM = timedelta(seconds=90)
_AT_A_TIME = 20


def tell(rule: AlertRule, event: AlertEvent, says: str, now: datetime) -> list[AlertNotice]:
    """Write down whom to tell, in the caller's transaction."""
    targets = [("mail", address) for address in rule.addresses]
    if rule.webhook_url:
        targets.append(("webhook", rule.webhook_url))
    return AlertNotice.objects.bulk_create(
        AlertNotice(event=event, says=says, channel=channel, target=target, due=now) for channel, target in targets
    )


def test(rule: AlertRule, now: datetime, actor: Actor) -> list[AlertNotice]:
    """Tell everybody whom the rule tells, now, that this is a test; the notices with what came of each.

    Raises NotAllowed.
    """
    actor.require_administration()
    record(actor, "test alert rule", rule.name, about=subject_of(rule))
    event = AlertEvent.objects.create(
        rule=rule,
        rule_name=rule.name,
        kind=rule.kind,
        key="someone@example.org" if rule.kind == AlertKind.SENDER else "",
        threshold=rule.threshold,
        value=rule.threshold,
        highest=rule.threshold,
        began=now,
        ended=now,
        is_test=True,
    )
    notices = tell(rule, event, "began", now)
    for notice in notices:
        _send(notice, now)
        if notice.due is not None:
            # Whoever tests sees that it failed, and tries again.
            notice.due = None
            notice.save(update_fields=["due"])
    return notices


def send_due(now: datetime) -> None:
    """Send the notices that are due, each by one process."""
    for notice in AlertNotice.objects.filter(due__lte=now).order_by("due")[:_AT_A_TIME]:
        if AlertNotice.objects.filter(pk=notice.pk, due=notice.due).update(due=now + CLAIM):
            _send(notice, now)


def _send(notice: AlertNotice, now: datetime) -> None:
    notice.attempts += 1
    try:
        if notice.channel == "mail":
            notice.outcome = _mail(notice, now)
        else:
            rule = notice.event.rule
            secret = unseal(rule.sealed_secret) if rule is not None and rule.sealed_secret else ""
            notice.outcome = webhook.post(notice.target, document(notice), secret, now)
        notice.done, notice.due = now, None
    except Exception as error:  # the edge of a notice: whatever it says, the others are told
        if not isinstance(error, webhook.NotDelivered | CannotUnseal | RefusedRecipient | intake.IntakeError):
            log.exception("a notice of an alert could not be made")
        notice.outcome = getattr(error, "reply", "") or str(error) or type(error).__name__
        left = notice.attempts <= len(PAUSES)
        notice.due = now + timedelta(seconds=PAUSES[notice.attempts - 1]) if left else None
        log.warning("%s could not be told of an alert: %s", notice.target, notice.outcome)
    notice.outcome = notice.outcome[:300]
    notice.save(update_fields=["attempts", "outcome", "done", "due"])


def document(notice: AlertNotice) -> dict[str, Any]:
    """What a webhook gets."""
    event = notice.event
    return {
        "id": f"{event.pk}-{notice.says}",
        "server": django_settings.MAILSPOOL_HOSTNAME,
        "test": event.is_test,
        "alert": event.rule_name,
        "state": notice.says,
        "kind": event.kind,
        "about": event.key,
        "value": round(event.value, 1),
        "highest": round(event.highest, 1),
        "threshold": event.threshold,
        "unit": in_source(lambda: watch_of(event.kind).unit),
        "began": event.began.isoformat(),
        "ended": event.ended.isoformat() if event.ended and not event.is_test else None,
        "text": sentence(notice),
        "page": page_of(event),
    }


def sentence(notice: AlertNotice) -> str:
    """In words, for people."""
    event, unit = notice.event, watch_of(notice.event.kind).unit
    now = f"{event.value:,.0f} {unit}, the threshold is {event.threshold:,}"
    if notice.says == "ended":
        furthest = "at least" if watch_of(event.kind).is_below else "at most"
        return f"Over: {event}. It was {furthest} {event.highest:,.0f} {unit}."
    return f"{'This is a test: ' if event.is_test else ''}{event}: {now}."


def page_of(event: AlertEvent) -> str:
    """Where the console shows what it is about."""
    return watch_of(event.kind).page(event.key)


def _mail(notice: AlertNotice, now: datetime) -> str:
    """Put it into our own spool. Raises RefusedRecipient, IntakeError."""
    host = django_settings.MAILSPOOL_HOSTNAME
    text = (
        f"{storable(sentence(notice), 1000)}\n\nServer: {host}\nBegan: {notice.event.began:%Y-%m-%d %H:%M:%S %Z}\n"
        f"In the console: {page_of(notice.event)}\n"
    )
    return f"In the spool as {own_mail.send(notice.target, sentence(notice), text, now)}"
