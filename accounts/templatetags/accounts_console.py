"""Values of accounts as people read them."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import Status

register = template.Library()
_TONES = {Status.ENABLED: "good", Status.DISABLED: "bad", Status.RECEIVING: "waiting"}


@register.filter
def account_tone(status: str) -> str:
    return _TONES.get(Status(status), "quiet")


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """`12 s ago`, `3 h ago`, with the exact time on hover."""
    if moment is None:
        return "–"
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            text = f"{seconds // size} {unit} ago"
            break
    else:
        text = "just now"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), _exact(moment), text)


@register.filter
def moment_of(moment: datetime) -> SafeString:
    """The exact time with its zone."""
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), _exact(moment))


def _exact(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M %Z}"
