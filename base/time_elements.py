"""Moments as elements of a page: how long ago, with the exact time on hover; a script keeps what they say true."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from base.times import exact, short_span

_ELEMENT = '<time datetime="{}" title="{}" data-relative>{}</time>'


def relative(value: datetime | None) -> SafeString | str:
    """`in 12 min` or `3 min ago`."""
    if value is None:
        return "–"
    seconds = (value - timezone.now()).total_seconds()
    text = ahead() % {"span": short_span(seconds)} if seconds > 0 else ago() % {"span": short_span(-seconds)}
    return format_html(_ELEMENT, value.isoformat(), exact(value), text)


def ahead() -> str:
    """What is said of a moment that comes, with a place for how long that takes."""
    return _("in %(span)s")


def ago() -> str:
    """What is said of a moment that has gone."""
    return _("%(span)s ago")


def moment(value: datetime | None) -> SafeString | str:
    """The exact time, where how long ago would be too little: in what is kept as evidence."""
    if value is None:
        return "–"
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), exact(value))
