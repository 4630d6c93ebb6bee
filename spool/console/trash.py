"""The page of the trash: what was deleted and can still be put back, until it is removed for good."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Count as Number
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET

from spool.actions.empty_trash import deleted
from spool.console.listing import listed
from spool.console.pages import page
from spool.filters import FIELDS, BadFilter, Count, Page, SpoolFilter
from spool.filters.keyset import order_of, values_at
from spool.filters.pages import PAGE_SIZE, cut
from spool.models import Trashed
from spool.models.settings import current

# More than this is not counted while somebody waits for the page.
COUNTED: Final = 10_000
# What the page searches by; the command takes every condition.
ASKED: Final = ("sender", "recipient", "subject", "older", "larger")
_NEWEST_FIRST: Final = "-id"


@require_GET
def trash_page(request: HttpRequest) -> HttpResponse:
    """The newest first."""
    asked = {name: request.GET.get(name, "").strip() for name in ASKED}
    error, chosen = "", SpoolFilter()
    try:
        chosen = SpoolFilter.parse(asked)
    except BadFilter as problem:
        error = str(problem)
    rows = chosen.of_trash(deleted()).select_related("event").defer("traceback")
    counted = rows.order_by()[:COUNTED].aggregate(number=Number("id"), size=Sum("size_bytes"))

    def look(sort: str, after: str) -> Page[Trashed]:
        order = order_of(sort, {"id": ("id",)}, Trashed._meta.db_table)
        return cut(list(order.of(rows, values_at(after, "id"))[: PAGE_SIZE + 1]), PAGE_SIZE, sort)

    listing = listed(
        request.GET,
        chosen,
        chosen.texts(),
        FIELDS,
        (_NEWEST_FIRST,),
        error,
        look=look,
        counted=lambda: Count(counted["number"], counted["number"] >= COUNTED),
        headings=lambda _: [],
    )
    days = current().trash_days
    return page(
        request,
        "spool/console/trash.html",
        gettext("Trash"),
        {
            "listing": listing,
            "rows": [(row, row.at + timedelta(days=days)) for row in listing.entries],
            "days": days,
            "fields": [(FIELDS[name], asked[name], _LABELS[name]) for name in ASKED],
            "number": counted["number"],
            "size": counted["size"] or 0,
            "more": counted["number"] >= COUNTED,
            "here": reverse("admin:spool_trashed_changelist"),
            "is_search": not chosen.is_empty,
            "now": timezone.now(),
        },
    )


_LABELS = {
    "sender": (_lazy("Sender"), "ann@example.org"),
    "recipient": (_lazy("Recipient"), "bob@example.net"),
    "subject": (_lazy("Subject"), ""),
    "older": (_lazy("Deleted more than"), _lazy("2d ago")),
    "larger": (_lazy("Larger than"), "10MB"),
}
