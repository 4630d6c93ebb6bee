"""Writing only what was changed, so that two who edit the same row do not undo each other; and who changed it last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from accounts.models import AccountEvent, User

# (when, by whom) of the last change of a row that a record knows of.
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
    """Who changed the row last, as far as any record tells."""
    found = [change for source in SOURCES if (change := source(row)) is not None]
    return max(found, default=None)


def _remember(row: Model) -> None:
    setattr(row, _REMEMBERED, {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields})


def _by_page(row: Model) -> LastChange | None:
    kind = ContentType.objects.get_for_model(type(row))
    entry = LogEntry.objects.filter(content_type=kind, object_id=str(row.pk)).select_related("user").first()
    return (entry.action_time, str(entry.user)) if entry is not None else None


def _by_history(row: Model) -> LastChange | None:
    about = {"user": row} if isinstance(row, User) else {"on": str(row)}
    event = AccountEvent.objects.filter(**about).exclude(action="manage user").first()
    return (event.at, event.actor) if event is not None else None


# Apps above have records of their own.
SOURCES: list[Callable[[Model], LastChange | None]] = [_by_page, _by_history]
