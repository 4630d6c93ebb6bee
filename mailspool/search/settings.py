"""Settings, by what their forms call them. A result leads to the field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, label_for_field
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from accounts.admin.onerow import OneRowAdmin
from accounts.templatetags.reach import opens
from mailspool.search.pages import begin_words
from mailspool.search.results import Result

MOST: Final = 6


@dataclass(frozen=True, slots=True)
class _Setting:
    label: str
    page: str
    section: str
    link: str
    words: list[str]
    help: list[str]
    url_name: str


def matching(request: HttpRequest, text: str) -> list[Result]:
    """Fields in whose label, section or help each word of the text begins a word; by the label first."""
    wanted = _words(text)
    ranked = []
    for one in _all():
        if not opens(request, one.url_name):
            continue
        if begin_words(wanted, one.words):
            ranked.append((0, one))
        elif begin_words(wanted, [*one.words, *_words(f"{one.page} {one.section}"), *one.help]):
            ranked.append((1, one))
    ranked.sort(key=lambda pair: pair[0])
    return [
        Result(one.label, "tune", " › ".join(filter(None, (one.page, one.section))), one.link)
        for _, one in ranked[:MOST]
    ]


@cache
def _all() -> tuple[_Setting, ...]:
    return tuple(
        setting for page in admin.site._registry.values() if isinstance(page, OneRowAdmin) for setting in _of(page)
    )


def _of(page: OneRowAdmin) -> Iterator[_Setting]:
    meta = page.model._meta
    name_of_page = f"admin:{meta.app_label}_{meta.model_name}_changelist"
    place = reverse(name_of_page)
    form = page.form.base_fields if hasattr(page.form, "base_fields") else {}
    for title, options in page.fieldsets or [("", {"fields": [field.name for field in meta.fields]})]:
        for name in flatten_fieldsets([(title, options)]):
            field = form.get(name)
            own = field.label if field is not None else None
            label = str(own or label_for_field(name, page.model, page))
            help_text = (
                str(field.help_text) if field is not None else str(getattr(_column(page, name), "help_text", ""))
            )
            yield _Setting(
                capfirst(label),
                capfirst(str(meta.verbose_name)),
                str(title or ""),
                f"{place}#id_{name}",
                _words(label),
                _words(help_text),
                name_of_page,
            )


def _column(page: OneRowAdmin, name: str) -> object:
    return next((field for field in page.model._meta.get_fields() if field.name == name), None)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
