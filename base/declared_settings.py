"""Settings as their models declare them: name, section, unit, default and help, for pages, searches and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.text import capfirst, slugify
from django.utils.translation import get_language, gettext, override
from django.utils.translation import gettext_noop as _noop

from base.languages import SOURCE
from base.one_row import OneRow, Section

# Units that stand in brackets behind what a setting is called.
UNITS: Final = frozenset(
    {_noop("seconds"), _noop("minutes"), _noop("hours"), _noop("days"), "KB", "MB", _noop("points"), _noop("passes")}
)
_WITH_UNIT: Final = re.compile(r"(.+) \((\w+)\)")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what commands call it (`antispam.keep_days`), and where it stands."""

    name: str
    model: type[OneRow]
    section: Section
    field: models.Field[Any, Any]

    @property
    def label(self) -> str:
        """Without its unit."""
        return capfirst(parted(str(self.field.verbose_name))[0])

    @property
    def unit(self) -> str:
        return parted(str(self.field.verbose_name))[1]

    @property
    def help(self) -> str:
        return str(self.field.help_text)

    @property
    def default(self) -> Any:
        return self.field.get_default()

    def of(self, row: OneRow) -> Any:
        """Its value in a row of its model."""
        return getattr(row, self.field.attname)

    def differs(self, row: OneRow) -> bool:
        """Whether the row has another value than the default."""
        return bool(self.of(row) != self.default)

    def shown(self, value: Any) -> str:
        """A value as people read it, with its unit."""
        if isinstance(value, bool):
            return gettext("on") if value else gettext("off")
        if self.field.choices:
            return str(dict(self.field.flatchoices).get(value, value))
        if isinstance(value, int | float):
            text = f"{value:,}" if isinstance(value, int) else f"{value:g}"
        else:
            text = " ".join(str(value).split())
        return f"{text} {self.unit}".strip() if text else gettext("empty")


def models_of_settings() -> tuple[type[OneRow], ...]:
    """Those that have sections, the server's own first, the others by their names."""
    found = (model for model in OneRow.__subclasses__() if model.sections)
    return tuple(sorted(found, key=prefix_of))


def prefix_of(model: type[OneRow]) -> str:
    """What commands write before the settings of a model; nothing for the server's own."""
    return model.__name__.removesuffix("Settings").lower()


def slug_of(model: type[OneRow], section: Section) -> str:
    """What a section is called in addresses."""
    with override(SOURCE):
        return slugify(f"{prefix_of(model)} {section.title}")


@cache
def of_model(model: type[OneRow]) -> tuple[Setting, ...]:
    """The settings of a model, in the order of its sections."""
    return tuple(setting for section in model.sections for setting in of_section(model, section))


def of_section(model: type[OneRow], section: Section) -> Iterator[Setting]:
    """Those of a section that are columns; what a form has besides is none."""
    prefix = prefix_of(model)
    for name in section.names:
        try:
            field: Any = model._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        yield Setting(f"{prefix}.{name}" if prefix else name, model, section, field)


def stored(model: type[OneRow]) -> OneRow:
    """The row, or the defaults where nobody has set anything: looking makes none."""
    row = model._default_manager.filter(pk=1).first()
    return row if row is not None else model()


def parted(name: str) -> tuple[str, str]:
    """A name and its unit."""
    found = _WITH_UNIT.fullmatch(name)
    return (found[1], found[2]) if found and found[2] in _units(get_language()) else (name, "")


@cache
def _units(language: str | None) -> frozenset[str]:
    """Units as they are called in the language that is active."""
    return UNITS | {gettext(unit) for unit in UNITS}
