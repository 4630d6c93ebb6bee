"""What differs between a row as it was and as it is, for programs and in words. Secrets only count as changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Field, Model
from django.utils.translation import gettext as _

from base.numbers import grouped
from base.texts import Text

# The values of a row by the names of its fields; of one to many, the names of those many.
Values = dict[str, Any]
_HIDDEN = "(hidden)"


def fields_of(model: type[Model]) -> tuple[str, ...]:
    """What people set: fields that forms have, and sealed secrets. Not what a row was stamped with."""
    own = [field.name for field in model._meta.concrete_fields if not field.primary_key and _is_set(field)]
    return (*own, *(field.name for field in model._meta.many_to_many))


def stored(row: Model, names: Iterable[str] | None = None) -> Values:
    """The values of a row as the database has them now; empty for one that is not there."""
    model, wanted = type(row), tuple(names or fields_of(type(row)))
    many = {field.name for field in model._meta.many_to_many}
    values = model._default_manager.filter(pk=row.pk).values(*(name for name in wanted if name not in many)).first()
    if values is None:
        return {}
    return {name: _names_of(row, name) if name in many else values[name] for name in wanted}


def present(row: Model, names: Iterable[str] | None = None) -> Values:
    """The values that a row has at hand; one to many only once it is stored."""
    model = type(row)
    many = {field.name for field in model._meta.many_to_many}
    wanted = [name for name in names or fields_of(model) if name not in many or not row._state.adding]
    fields: dict[str, Any] = {name: model._meta.get_field(name) for name in wanted}
    return {name: _names_of(row, name) if name in many else getattr(row, fields[name].attname) for name in wanted}


def difference(before: Values, after: Values) -> dict[str, tuple[Any, Any]]:
    """Before and after of each value that is another now."""
    return {name: (before[name], value) for name, value in after.items() if name in before and before[name] != value}


def for_programs(model: type[Model], differing: Mapping[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    """The same as JSON takes it. Another row is its name."""
    return {
        name: [_hidden(value) if is_secret(name) else _plain(model._meta.get_field(name), value) for value in pair]
        for name, pair in differing.items()
    }


def in_words(
    model: type[Model], differing: Mapping[str, Sequence[Any]], labels: Mapping[str, Text] | None = None
) -> str:
    """ "Messages per hour: 100 → 500; password: changed", of values for programs. Empty when nothing differs."""
    parts = []
    for name, (before, after) in differing.items():
        field: Any = model._meta.get_field(name)
        label = str((labels or {}).get(name, field.verbose_name))
        if is_secret(name):
            parts.append(f"{label.removeprefix('sealed ')}: {_('changed') if after else _('removed')}")
        else:
            parts.append(f"{label}: {in_a_word(field, before)} → {in_a_word(field, after)}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def is_secret(name: str) -> bool:
    """Whether a field's values are shown to nobody."""
    return name.startswith("sealed_") or name == "password"


def _is_set(field: Field[Any, Any]) -> bool:
    return field.editable or is_secret(field.name)


def _names_of(row: Model, name: str) -> list[str]:
    return sorted(str(one) for one in getattr(row, name).all())


def in_a_word(field: Any, value: Any) -> str:
    if field.name == "forward_to":
        return ", ".join(str(value).split()) or _("nobody")
    if field.many_to_many:
        return ", ".join(value) or _("nobody")
    if field.is_relation:
        return str(value or _("nobody"))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if field.choices:
        # "Delay: send it as the limit allows" explains itself; its first word will do.
        return str(dict(field.flatchoices).get(value, value)).partition(":")[0]
    if isinstance(value, int):
        return grouped(value)
    return " ".join(str(value).split()) if value not in (None, "") else _("empty")


def _hidden(value: Any) -> str:
    return _HIDDEN if value else ""


def _plain(field: Any, value: Any) -> Any:
    if field.is_relation and not field.many_to_many:
        related = field.related_model._default_manager.filter(pk=value).first()
        return str(related) if related is not None else None
    return value if value is None or isinstance(value, bool | int | float | str | list) else str(value)
