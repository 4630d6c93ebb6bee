"""Who changed a setting last, as far as the audit tells."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.urls import reverse
from django.utils.http import urlencode

from base.audit.models import AuditEvent
from base.audit.subjects import kind_of
from base.declared_settings import Setting
from base.one_row import OneRow

# So many changes of a row are looked through.
_MOST: Final = 300


@dataclass(frozen=True, slots=True)
class LastChange:
    """When it was, and by whom."""

    at: datetime
    actor: str


def last_changes(model: type[OneRow], names: Collection[str]) -> dict[str, LastChange]:
    """By the names of fields. One query."""
    rows = AuditEvent.objects.filter(kind=kind_of(model), row_id=1, parameters__has_key="changed")
    found: dict[str, LastChange] = {}
    for at, actor, parameters in rows.order_by("-at", "-id").values_list("at", "actor", "parameters")[:_MOST]:
        for name in parameters["changed"]:
            found.setdefault(name, LastChange(at, actor))
        if found.keys() >= set(names):
            break
    return {name: change for name, change in found.items() if name in names}


def history_of(setting: Setting) -> str:
    """The audit's page of its changes."""
    asked = {"kind": kind_of(setting.model), "row": "1", "changed": setting.field.name}
    return f"{reverse('admin:audit_auditevent_changelist')}?{urlencode(asked)}"
