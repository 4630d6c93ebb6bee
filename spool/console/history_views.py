"""The page that looks from above: the backlog map."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from spool.console.backlog import SPANS, backlog
from spool.console.pages import page


@require_GET
def backlog_map(request: HttpRequest) -> HttpResponse:
    """Age by destination, and errors by their cleaned text."""
    return page(
        request,
        "spool/console/backlog.html",
        _("Backlog map"),
        {"backlog": backlog(), "spans": SPANS, "waiting": reverse("admin:spool_entry_waiting")},
    )
