"""The pages that look back and from above: backlog map, message trace."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from spool.console.backlog import SPANS, backlog
from spool.console.pages import page
from spool.console.trace import search
from spool.models.settings import current


@require_GET
def backlog_map(request: HttpRequest) -> HttpResponse:
    """Age by destination, and errors by their cleaned text."""
    return page(
        request,
        "spool/console/backlog.html",
        "Backlog map",
        {"backlog": backlog(), "spans": SPANS, "waiting": reverse("admin:spool_entry_waiting")},
    )


@require_GET
def message_trace(request: HttpRequest) -> HttpResponse:
    """What became of messages."""
    text, after, kept_days = request.GET.get("q", ""), request.GET.get("after", ""), current().trace_days
    asked = request.GET.get("days", "")
    days = min(int(asked), kept_days) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 5 else kept_days
    found = search(text, max(1, days), after)
    return page(
        request,
        "spool/console/trace.html",
        "Message trace",
        {
            "found": found,
            "q": text,
            "days": days,
            "kept_days": kept_days,
            "choices": [d for d in (1, 3, 7, 14, 30, 90) if d < kept_days] + [kept_days],
            "here": reverse("admin:spool_trace_changelist"),
            "now": timezone.now(),
            "following": urlencode({"q": text, "days": days, "after": found.after}) if found.after else "",
        },
    )
