"""Settings, by what their forms call them. A result leads to the field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from django.http import HttpRequest
from django.utils.translation import get_language

from accounts.templatetags.reach import opens
from base.declared_settings import Setting
from mailspool.search.pages import begin_words
from mailspool.search.results import Result
from mailspool.setting_pages.places import Place, places

MOST: Final = 6


@dataclass(frozen=True, slots=True)
class _Setting:
    label: str
    page: str
    section: str
    link: str
    words: list[str]
    help: list[str]


def matching(request: HttpRequest, text: str) -> list[Result]:
    """Fields in whose label, section or help each word of the text begins a word; by the label first."""
    wanted = _words(text)
    if not opens(request, "settings_section"):
        return []
    ranked = []
    for one in _all(get_language()):
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
def _all(language: str | None) -> tuple[_Setting, ...]:
    """All of them, in the language that is active."""
    return tuple(_setting(place, setting) for place in places() for setting in place.settings)


def _setting(place: Place, setting: Setting) -> _Setting:
    return _Setting(
        setting.label,
        place.group,
        str(place.section.title),
        place.link_to(setting),
        _words(f"{setting.label} {setting.unit}"),
        _words(f"{setting.help} {setting.name}"),
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
