"""What something was done to: its kind, its name, and its number where it is a row."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Model


@dataclass(frozen=True, slots=True)
class Subject:
    """A `kind` of thing and the `key` that people know it by; `row_id` stays the same when it is renamed."""

    kind: str
    key: str
    row_id: int | None = None


def subject_of(row: Model, name: str = "") -> Subject:
    """A row as a subject. Its model may have an `audit_kind`, and an `audit_name` where str() is another."""
    is_stored = not row._state.adding and isinstance(row.pk, int)
    return Subject(kind_of(row), name or name_of(row), row.pk if is_stored else None)


def kind_of(row: Model | type[Model]) -> str:
    """What such rows are called in records."""
    return str(getattr(row, "audit_kind", "") or row._meta.verbose_name_raw)


def name_of(row: Model) -> str:
    return str(getattr(row, "audit_name", "") or row)
