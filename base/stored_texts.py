"""Sentences that programs stored beside mail, in the language of whoever looks.

What became of a message, or why it waits, is one column for the answers of other servers and for what is said here;
logs, bounces and commands have it in English. A page knows our own sentences again by their templates and says them in
its language, those of earlier versions too; whatever is no such sentence stays as it was written.

Each app has a module `stored_texts` for its own, which is imported when the first text is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final

from django.utils.module_loading import autodiscover_modules
from django.utils.translation import get_language
from django.utils.translation import gettext as translated

from base.languages import SOURCE

_PLACE: Final = re.compile(r"%\\\((\w+)\\\)s")
# What we say of an address in the form of a reply (RFC 5321 4.2, RFC 3463).
_REPLY: Final = re.compile(r"(?:[245]\d\d [245]\.\d{1,3}\.\d{1,3} (?:<?\S+@\S+: )?)?")
# A sentence in a sentence in a sentence.
_DEEPEST: Final = 3
_Say = Callable[[Mapping[str, str]], str]
_KNOWN: dict[str, tuple[re.Pattern[str], _Say]] = {}


def known(*templates: str) -> None:
    """Sentences with named places: `%(names)s` and `%(who)s` take anything, `%(why)s` at the end too, and is looked at
    by itself; every other place takes what has no blank in it."""
    for template in templates:
        _KNOWN[template] = re.compile(_PLACE.sub(_group, re.escape(template))), partial(_translated, template)


def known_as(template: str, say: _Say) -> None:
    """A sentence that `say` makes of the values in its places, each of which takes anything. It raises ValueError for
    values that are none of ours."""
    _KNOWN[template] = re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(template))), say


def said(text: str, *, is_ours: bool = True) -> str:
    """`text` in the language that is active. `is_ours` is whether it is known that no other server wrote it."""
    return text if get_language() in (SOURCE, None) else _said(text, is_ours, _DEEPEST)


def _said(text: str, is_ours: bool, depth: int) -> str:
    _discover()
    reply = _REPLY.match(text)
    start = reply.end() if is_ours and reply else 0
    for pattern, say in _KNOWN.values():
        if found := pattern.fullmatch(text, start):
            values: dict[str, str] = found.groupdict()
            if "why" in values and depth:
                values["why"] = _said(values["why"], False, depth - 1)
            try:
                return text[:start] + say(values)
            except ValueError:
                continue
    return text


def _translated(template: str, values: Mapping[str, str]) -> str:
    return translated(template) % values


def _group(place: re.Match[str]) -> str:
    name = place[1]
    if name == "why":
        return r"(?P<why>.+)"
    return rf"(?P<{name}>.+?)" if name in ("names", "who") else rf"(?P<{name}>\S+?)"


@cache
def _discover() -> None:
    autodiscover_modules("stored_texts")
