"""Writing only what was changed, so that two who edit the same row do not undo each other; and who changed it last."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Model

from base.audit.models import AuditEvent
from base.audit.subjects import subject_of

# (when, by whom) of the last change of a row.
LastChange = tuple[datetime, str]
_REMEMBERED = "_values_when_read"


def remember(row: Model) -> None:
    """What the row's fields are, to be compared by `save`. One that is remembered already stays as it was then."""
    if not hasattr(row, _REMEMBERED):
        _remember(row)


def correct(row: Model, values: dict[str, Any]) -> None:
    """Have the row, and what is remembered of it, hold what the database has by now: values by `attname`."""
    remember(row)
    getattr(row, _REMEMBERED).update(values)
    for name, value in values.items():
        setattr(row, name, value)


def save(row: Model) -> list[str]:
    """Write the fields that differ from what is remembered, all of a new row; the names of those that did."""
    before = getattr(row, _REMEMBERED, None)
    if row._state.adding or before is None:
        row.save()
        _remember(row)
        return [field.name for field in row._meta.concrete_fields]
    fields = row._meta.concrete_fields
    changed = [field.name for field in fields if getattr(row, field.attname) != before[field.attname]]
    if changed:
        row.save(update_fields=changed)
        _remember(row)
    return changed


def last_change(row: Model) -> LastChange | None:
    """Who changed the row last, as far as the audit tells."""
    about = subject_of(row)
    events = AuditEvent.objects.filter(kind=about.kind, row_id=about.row_id).exclude(action="manage user")
    return events.order_by("-at", "-id").values_list("at", "actor").first()


def _remember(row: Model) -> None:
    setattr(row, _REMEMBERED, {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields})
