"""The page, the part of it that refreshes itself, and the messages behind its numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from mailspool.first_run.steps import is_over
from mailspool.overview.behind import deliveries
from mailspool.overview.charts import charts
from mailspool.overview.rows import cells_of, knowledge, shown_tables
from mailspool.overview.sorting import SUBMITTERS_NAME, Sorting
from mailspool.overview.submitters import handed_in
from mailspool.overview.tables import OF_DELIVERIES, SUBMITTERS, TABLES, WINDOWS, WINDOWS_BY_NAME
from spool.console.pages import is_htmx, page
from spool.console.tabs import tabs_for
from spool.models.recipient import Kind
from spool.models.settings import current
from spool.models.traffic import TrafficKind, TrafficState
from spool.traffic.figures import tops, whole
from spool.traffic.series import RANGES, points

STALE_SECONDS = 60
DEFAULT_RANGE = "24h"


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The console's first page."""
    context = _context(request)
    if is_htmx(request):
        return render(request, "mailspool/overview/_refresh.html", {**context, "tabs": tabs_for(request)})
    return page(request, "mailspool/overview/overview.html", _("Overview"), {**context, "first_run": not is_over()})


def _context(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    wanted = RANGES.get(request.GET.get("range", ""), RANGES[DEFAULT_RANGE])
    counts = whole([TrafficKind.LOCAL, TrafficKind.REMOTE], now)
    local, remote = counts[TrafficKind.LOCAL], counts[TrafficKind.REMOTE]
    state = TrafficState.objects.first()
    sorting = Sorting(request.GET)
    orders = {table.kind: sorting.window(table.name).attribute for table in TABLES}
    orders |= {table.kind: sorting.window(SUBMITTERS_NAME).attribute for table in SUBMITTERS}
    found = tops(orders, now, orders=orders)
    known = knowledge(found)
    rows = [
        (_("Local deliveries"), cells_of(local, Kind.LOCAL.value)),
        (_("Remote deliveries"), cells_of(remote, Kind.REMOTE.value)),
    ]
    return {
        "now": now,
        "range": wanted,
        "ranges": [(one, sorting.link("range", one.name)) for one in RANGES.values()],
        "windows": WINDOWS,
        "activity": rows,
        "together": [f"{here.number + there.number:,}" for here, there in zip(rows[0][1], rows[1][1], strict=True)],
        "handed_in": handed_in(found, known, sorting, now),
        "tables": shown_tables(found, known, sorting),
        "charts": charts(points(wanted, now), wanted),
        "state": state,
        "stale": state is not None and (now - state.rolled).total_seconds() > STALE_SECONDS,
        "here": reverse("admin:index"),
        "full_path": request.get_full_path(),
    }


@require_GET
def behind(request: HttpRequest, table: str, window: str) -> HttpResponse:
    """The deliveries that a number counts; `table` may also be local or remote."""
    shown, spans = OF_DELIVERIES.get(table), WINDOWS_BY_NAME.get(window)
    if spans is None or (shown is None and table not in Kind.values):
        raise Http404(_("There is no such number."))
    key, now = request.GET.get("key", ""), timezone.now()
    kind = shown.delivered if shown is not None else Kind(table)
    found = deliveries(shown, kind, key, spans, now, request.GET.get("after", ""))
    here = reverse("overview_behind", args=[table, window])
    return page(
        request,
        "mailspool/overview/behind.html",
        shown.title if shown else _("%(kind)s deliveries") % {"kind": kind.label},
        {
            "found": found,
            "key": key or "<>",
            "table": shown,
            "window": spans,
            "windows": WINDOWS,
            "now": now,
            "name": table,
            "key_query": urlencode({"key": key}),
            "kept_days": current().trace_days,
            "spool_query": shown.spool_query(key) if shown else "",
            "kind": kind,
            "following": f"{here}?{urlencode({'key': key, 'after': found.after})}" if found.after else "",
        },
    )
