"""Where each setting is in the console: the sections of all models, and their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from django.urls import reverse
from django.utils.text import capfirst

from base.declared_settings import Setting, models_of_settings, of_section, slug_of
from base.one_row import OneRow, Section


@dataclass(frozen=True, slots=True)
class Place:
    """A section of a model, and its name in the address; `group` is what the page is called that it belongs to."""

    model: type[OneRow]
    section: Section
    slug: str

    @property
    def group(self) -> str:
        return capfirst(str(self.model()))

    @property
    def link(self) -> str:
        return reverse("settings_section", args=[self.slug])

    @property
    def settings(self) -> tuple[Setting, ...]:
        return tuple(of_section(self.model, self.section))

    def link_to(self, setting: Setting) -> str:
        """To its field."""
        return f"{self.link}#id_{setting.field.name}"


@cache
def places() -> tuple[Place, ...]:
    """All of them, in the order in which they are shown."""
    return tuple(_place(model, section) for model in models_of_settings() for section in model.sections)


def place_named(slug: str) -> Place | None:
    return next((place for place in places() if place.slug == slug), None)


def matching(text: str) -> Iterator[tuple[Place, Setting]]:
    """Settings in whose label, help, name or section each word of the text stands."""
    words = text.lower().split()
    for place in places():
        for setting in place.settings:
            said = f"{place.group} {place.section.title} {setting.label} {setting.unit} {setting.name} {setting.help}"
            # Names are typed with blanks too.
            spelt = f"{said} {setting.name.replace('_', ' ')}".lower()
            if all(word in spelt for word in words):
                yield place, setting


def grouped(shown: Iterable[Place]) -> dict[str, list[Place]]:
    """By the pages that they belong to."""
    groups: dict[str, list[Place]] = {}
    for place in shown:
        groups.setdefault(place.group, []).append(place)
    return groups


def _place(model: type[OneRow], section: Section) -> Place:
    return Place(model, section, slug_of(model, section))
