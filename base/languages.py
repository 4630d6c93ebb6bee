"""The languages that pages and mail for people can be in: each is whole, or it is not offered.

`gettext` does the rest. A message that a language lacks is English, and whatever else is called a language is none of
these. The catalogues are in mailspool/locale, and a test holds them whole; docs/translating.md says how they are made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.utils.translation import override

SOURCE: Final = "en"
# As who speaks it calls it.
OFFERED: Final = ((SOURCE, "English"), ("de", "Deutsch"), ("es", "Español"), ("fr", "Français"))
_CODES: Final = frozenset(code for code, _ in OFFERED)


def in_source(say: Callable[[], object]) -> str:
    """What `say` says in English: for what is stored, which everybody reads, and programs too."""
    with override(SOURCE):
        return str(say())


def first_known(*codes: str) -> str:
    """The first of these that is offered; English if none is."""
    return next((code for code in codes if code in _CODES), SOURCE)
