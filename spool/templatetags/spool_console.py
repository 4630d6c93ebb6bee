"""Values of the spool as people read them: ages, sizes, moments, and the tone of a label."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from base import stored_texts, time_elements
from base.numbers import decimal, grouped
from base.times import exact, short_span, to_the_minute
from spool.delivery.replies import is_here
from spool.models import Entry, Outcome, Priority, Status

register = template.Library()

_TONES = {
    Status.SCHEDULED: "quiet",
    Status.WAITING: "waiting",
    Status.THROTTLED: "waiting",
    Status.DELIVERY_DELAY: "quiet",
    Status.VIRUS_CHECK: "active",
    Status.SPAM_CHECK: "active",
    Status.LOCAL_DELIVERY: "active",
    Status.REMOTE_DELIVERY: "active",
}
_OUTCOMES = {
    Outcome.PENDING: "waiting",
    Outcome.DELIVERED: "good",
    Outcome.BOUNCED: "bad",
    Outcome.EXPIRED: "bad",
    Outcome.REMOVED: "quiet",
    Outcome.QUARANTINED: "held",
}


@register.filter
def size(count: int) -> str:
    """Bytes as KB or MB."""
    if count < 1024:
        return f"{count} B"
    if count < 1024 * 1024:
        return f"{count / 1024:.0f} KB"
    if count < 1024**3:
        return f"{decimal(count / 1024**2, 1)} MB"
    return f"{decimal(count / 1024**3, 1)} GB"


@register.filter
def said(text: str, host: str = "") -> str:
    """What was stored about a delivery, in the reader's language; what another `host` answered is left as it was."""
    return stored_texts.said(text, is_ours=is_here(host))


@register.filter
def domain_of(address: str) -> str:
    """What stands behind the @; of what has none, all of it."""
    return address.rpartition("@")[2] or "-"


@register.filter
def thousands(number: int) -> str:
    """`1,600`."""
    return grouped(number)


@register.filter
def short_name(file_name: str) -> str:
    """A file name with its middle left out: its beginning is the time, its end what tells it from others."""
    return f"{file_name[:7]}…{file_name[-10:]}" if len(file_name) > 20 else file_name


@register.filter
def age(moment: datetime) -> str:
    """How long ago, without a word around it."""
    return short_span((timezone.now() - moment).total_seconds())


exactly = register.filter("exact", exact)
register.filter("minute", to_the_minute)
relative = register.filter("relative", time_elements.relative)
moment = register.filter("moment", time_elements.moment)


@register.filter
def next_attempt(entry: Entry) -> SafeString | str:
    """When an entry is tried next, in a word or two."""
    if entry.hold:
        return relative(entry.hold_until) if entry.hold_until else _("on hold")
    if entry.leased_by:
        return _("now")
    if entry.next_attempt is None:
        return "–"
    if entry.next_attempt <= timezone.now():
        return format_html(
            '<time datetime="{}" title="{}">{}</time>',
            entry.next_attempt.isoformat(),
            exactly(entry.next_attempt),
            _("due"),
        )
    return relative(entry.next_attempt)


@register.filter
def of(found: Mapping[Any, Any], key: Any) -> Any:
    """What a mapping has for a key; None for nothing."""
    return found.get(key)


@register.filter
def status_tone(status: str) -> str:
    return _TONES.get(status, "quiet")  # type: ignore[call-overload, no-any-return]


@register.filter
def outcome_tone(outcome: str) -> str:
    return _OUTCOMES.get(outcome, "quiet")  # type: ignore[call-overload, no-any-return]


@register.filter
def priority_tone(priority: int) -> str:
    return {Priority.HIGH: "bad", Priority.LOW: "active"}.get(priority, "quiet")  # type: ignore[call-overload, no-any-return]


@register.filter
def reply_tone(code: int) -> str:
    if 200 <= code < 400:
        return "good"
    return "bad" if code >= 500 else "waiting"
