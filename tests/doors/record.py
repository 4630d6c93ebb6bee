"""What is in the database, and what was written down about a change of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps

from accounts.models import AccountEvent, Login, WebSession
from base.one_row import OneRow
from quarantine.models import QuarantineSize
from spool.models import AuditEvent

# The record itself; what a request or login leaves behind wherever it leads; and what is only measured.
_LEFT_OUT = {AuditEvent, AccountEvent, Login, WebSession, QuarantineSize}
_ROOMS = ("accounts", "security", "spool", "throttling", "quarantine")


@contextmanager
def nothing_changes_unrecorded(actor: str, source: str, *, does: bool) -> Iterator[list[AuditEvent]]:
    """Around what somebody does: what differs afterwards is written down, as done by that person at that door.

    With `does` it must be something, or else nothing. The records are in the list once it is over.
    """
    for model in OneRow.__subclasses__():
        # Made with its defaults at its first use, by whoever comes first.
        model.load()
    before, last = _tables(), _last()
    records: list[AuditEvent] = []
    yield records
    after = _tables()
    changed = sorted(name for name in before if before[name] != after[name])
    # What the test itself has made on the way there was made by nobody.
    records += AuditEvent.objects.filter(pk__gt=last).exclude(source="system").order_by("pk")
    if does:
        assert records, f"nothing was written down; changed: {changed}"
    else:
        assert not changed or records, f"changed without a record: {changed}"
    assert {(record.actor, record.source) for record in records} <= {(actor, source)}
    assert all(record.action and record.on and record.outcome for record in records)


def _tables() -> dict[str, list[tuple[Any, ...]]]:
    return {
        model._meta.label: sorted(model._default_manager.values_list(), key=repr)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in _ROOMS and model not in _LEFT_OUT
    }


def _last() -> int:
    return AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
