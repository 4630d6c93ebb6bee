"""The page of the trash: what was deleted and can still be put back, until it is removed for good."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from spool.actions.empty_trash import deleted
from spool.console.pages import page
from spool.filters import FIELDS, BadFilter, SpoolFilter
from spool.models.settings import current

PAGE_SIZE = 50
# More than this is not counted while somebody waits for the page.
COUNTED = 10_000
# What the page searches by; the command takes every condition.
ASKED = ("sender", "recipient", "subject", "older", "larger")


@require_GET
def trash_page(request: HttpRequest) -> HttpResponse:
    """The newest first."""
    asked = {name: request.GET.get(name, "").strip() for name in ASKED}
    error, chosen = "", SpoolFilter()
    try:
        chosen = SpoolFilter.parse(asked)
    except BadFilter as problem:
        error = str(problem)
    rows = chosen.of_trash(deleted()).select_related("event").defer("traceback").order_by("-id")
    counted = rows.order_by()[:COUNTED].aggregate(number=Count("id"), size=Sum("size_bytes"))
    after = request.GET.get("after", "")
    if after.isascii() and after.isdigit() and len(after) < 19:
        rows = rows.filter(pk__lt=int(after))
    found = list(rows[: PAGE_SIZE + 1])
    shown, days = found[:PAGE_SIZE], current().trash_days
    return page(
        request,
        "spool/console/trash.html",
        "Trash",
        {
            "rows": [(row, row.at + timedelta(days=days)) for row in shown],
            "error": error,
            "tabs": [],
            "days": days,
            "fields": [(FIELDS[name], asked[name], _LABELS[name]) for name in ASKED],
            "query": chosen.to_query(),
            "number": counted["number"],
            "size": counted["size"] or 0,
            "more": counted["number"] >= COUNTED,
            "here": reverse("admin:spool_trashed_changelist"),
            "is_search": not chosen.is_empty,
            "now": timezone.now(),
            "following": urlencode({**chosen.texts(), "after": shown[-1].pk}) if len(found) > PAGE_SIZE else "",
        },
    )


_LABELS = {
    "sender": ("Sender", "ann@example.org"),
    "recipient": ("Recipient", "bob@example.net"),
    "subject": ("Subject", ""),
    "older": ("Deleted more than", "2d ago"),
    "larger": ("Larger than", "10MB"),
}
