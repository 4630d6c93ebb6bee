"""Propagating defaults: giving existing domains or users what new ones start with, after showing what would change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from accounts import directory, history
from accounts.actor import Actor
from accounts.models import Defaults, Domain, DomainUserDefaults, User, UserDefaults
from base import row_changes
from base.audit import subjects
from base.audit.subjects import Subject
from base.batches import batched

MOST_EXAMPLES = 20
_AT_A_TIME = 1000


class NoFieldChosen(Exception):
    """Nothing would be propagated."""


class NoSuchDefault(Exception):
    """The defaults have no such field."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that would change."""

    name: str
    field: str
    is_now: Any
    would_be: Any


@dataclass(frozen=True, slots=True)
class Preview:
    """What propagating would do: of `chosen` rows `changing` differ; `examples` are the first of those."""

    chosen: int
    changing: int
    examples: Sequence[Difference]


def fields_of(defaults: Defaults) -> dict[str, str]:
    """What can be propagated: names of fields and what they are called."""
    return {
        field.name: str(field.verbose_name) for field in defaults._meta.fields if field.name not in ("id", "domain")
    }


def preview(defaults: Defaults, fields: Iterable[str], rows: QuerySet[Domain] | QuerySet[User]) -> Preview:
    """What `propagate` would do. Raises NoFieldChosen, NoSuchDefault."""
    values = _values(defaults, fields)
    differing = _differing(rows, values)
    labels = fields_of(defaults)
    examples = [
        Difference(str(row), labels[name], getattr(row, name), value)
        for row in differing.order_by("pk")[:MOST_EXAMPLES]
        for name, value in values.items()
        if getattr(row, name) != value
    ]
    return Preview(rows.count(), differing.count(), examples)


@transaction.atomic
def propagate(actor: Actor, defaults: Defaults, fields: Iterable[str], rows: QuerySet[Domain] | QuerySet[User]) -> int:
    """Give `rows` the values that the defaults have in `fields`; returns how many differed.

    What each of them had is written down. Raises NotAllowed, NoFieldChosen, NoSuchDefault.
    """
    if isinstance(defaults, DomainUserDefaults):
        actor.require_domain(defaults.domain)
    else:
        actor.require_administration()
    values = _values(defaults, fields)
    # First, for its lock: who changes many rows must not wait for one who waits for this.
    directory.changed()
    differing = _differing(rows, values)
    for before in batched(differing.order_by("pk").values("pk", _name_of(rows.model), *values).iterator(), _AT_A_TIME):
        _write_down(actor, rows.model, before, values)
    changed = differing.update(**values)
    history.record(
        actor,
        "propagate defaults",
        _scope(defaults),
        row=defaults,
        parameters={"propagated": {"values": values, "kind": subjects.kind_of(defaults), "changed": changed}},
    )
    return changed


def in_words(defaults: Defaults, fields: Iterable[str]) -> str:
    """What the defaults have in `fields`: "mailbox (MB) 500, recipients per message 100"."""
    labels = fields_of(defaults)
    return ", ".join(f"{labels[name]} {value_of(defaults, name)}" for name in fields)


def value_of(defaults: Defaults, name: str) -> object:
    """Of a choice its label."""
    display = getattr(defaults, f"get_{name}_display", None)
    return display() if display is not None else getattr(defaults, name)


def _name_of(model: type[Model]) -> str:
    return "email" if model is User else "name"


def _write_down(actor: Actor, model: type[Model], rows: Sequence[dict[str, Any]], values: dict[str, Any]) -> None:
    """In the history of each row what it had; not each in the audit's page, which has one line for all."""
    history.record_many(
        actor,
        "propagate defaults",
        [
            (
                Subject(subjects.kind_of(model), row[_name_of(model)], row["pk"]),
                {"changed": row_changes.for_programs(model, row_changes.difference(row, values))},
            )
            for row in rows
        ],
    )


def _scope(defaults: Defaults) -> str:
    if isinstance(defaults, DomainUserDefaults):
        return defaults.domain.name
    return "users" if isinstance(defaults, UserDefaults) else "domains"


def _values(defaults: Defaults, fields: Iterable[str]) -> dict[str, Any]:
    known = fields_of(defaults)
    chosen = list(dict.fromkeys(fields))
    if not chosen:
        raise NoFieldChosen(_("Choose at least one of %(fields)s.") % {"fields": ", ".join(known)})
    for name in chosen:
        if name not in known:
            raise NoSuchDefault(
                _("There is no default %(name)s; there are %(fields)s.") % {"name": name, "fields": ", ".join(known)}
            )
    return {name: getattr(defaults, name) for name in chosen}


def _differing(rows: QuerySet[Any], values: dict[str, Any]) -> QuerySet[Any]:
    differs = Q()
    for name, value in values.items():
        differs |= ~Q(**{name: value})
    model: type[Model] = rows.model
    # A filter over joined tables can't be updated; its keys can.
    return model._default_manager.filter(differs, pk__in=rows.order_by().values("pk"))
