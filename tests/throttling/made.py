"""Throttle events and held messages that no limit has made: for pages and actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from spool.models import Entry
from tests.support.messages import a_submission
from tests.support.spool_states import take_in
from throttling.models import HeldEntry, ThrottleEvent

ANN = "ann@example.org"
# Half a minute more, so that the pages have not counted down when they are looked at.
ENDS_IN = timedelta(minutes=40, seconds=30)


def an_event(name: str = ANN, kind: str = "user", metric: str = "messages", **fields: Any) -> ThrottleEvent:
    """Somebody is over a limit."""
    now = timezone.now()
    values: dict[str, Any] = {
        "action": "delay",
        "amount": 100,
        "used": 100,
        "since": now,
        "last": now,
        "until": now + ENDS_IN,
        "domain": name.rpartition("@")[2] if kind != "ip" else "",
    }
    return ThrottleEvent.objects.create(kind=kind, name=name, metric=metric, **{**values, **fields})


def some_held(count: int = 1, user: str = ANN) -> list[Entry]:
    """Messages of a user that wait for the limit of messages."""
    entries = []
    for number in range(count):
        submission = a_submission(user, "bob@far.test", subject=f"Held {number}")
        submission.envelope.auth_user = user
        entries += take_in(submission)
    now = timezone.now()
    Entry.objects.filter(pk__in=[entry.pk for entry in entries]).update(
        status="throttled", due_at=now + ENDS_IN, next_attempt=now + ENDS_IN, last_error="why"
    )
    HeldEntry.objects.bulk_create(
        HeldEntry(entry_id=entry.pk, kind="user", name=user, metric="messages", cost=1, since=now, until=now + ENDS_IN)
        for entry in entries
    )
    return entries
