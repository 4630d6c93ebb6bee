"""Small pieces of sentences for people."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from base.numbers import grouped


def first_few(things: Sequence[object], most: int) -> str:
    """ "ann, bob and 1,998 more": at most so many of them by name. Empty for none."""
    rest = len(things) - most
    return ", ".join(map(str, things[:most])) + (
        " " + _("and %(number)s more") % {"number": grouped(rest)} if rest > 0 else ""
    )
