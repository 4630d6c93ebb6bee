"""The page of the trace: what became of messages, searched, filtered, sorted, and as a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from base.action import record
from base.languages import in_source
from spool.console.listing import Column, chips, headings_of
from spool.console.pages import actor_of, page
from spool.console.trace import EVERYTHING, Found, search
from spool.filters import BadFilter
from spool.filters.trace import (
    DEFAULT_SORT,
    MOST_EXPORTED,
    SORTS,
    TRACE_FIELDS,
    TraceFilter,
    can_be_sorted,
    every,
)
from spool.filters.trace_terms import asked_by, named_by
from spool.models import Outcome, Trace
from spool.models.settings import current
from spool.transfer import traces
from spool.transfer.streamed import FORMATS, WRITERS

COLUMNS = (
    Column(_lazy("Ended"), "", "-ended"),
    Column(_lazy("Sender"), "", "sender"),
    Column(_lazy("Recipient"), "", "recipient"),
    Column(_lazy("Outcome"), ""),
    Column(_lazy("Last reply"), ""),
    Column(_lazy("Client IP"), ""),
)
# (name of the field, label, an example)
_PANEL = (
    ("sender", _lazy("Sender"), _lazy("ann@example.org or *@example.org")),
    ("sender-domain", _lazy("Sender's domain"), "example.org"),
    ("recipient", _lazy("Recipient"), "bob@example.net"),
    ("domain", _lazy("Destination domain"), "example.net"),
    ("ip", _lazy("Client IP"), "192.0.2.7"),
    ("auth-user", _lazy("User"), "ann@example.org"),
    ("subject", _lazy("Words of the subject"), "invoice"),
    ("reply", _lazy("Last reply has"), "greylist"),
    ("host", _lazy("Host"), "mx.example.net"),
    ("older", _lazy("Ended more than … ago"), _lazy("2h or 3d")),
    ("younger", _lazy("Ended less than … ago"), "30m"),
    ("larger", _lazy("Larger than"), "10MB"),
    ("smaller", _lazy("Smaller than"), "20KB"),
)


@require_GET
def message_trace(request: HttpRequest) -> HttpResponse:
    """What became of messages."""
    kept_days = current().trace_days
    days, sort = _days(request.GET, kept_days), request.GET.get("sort", DEFAULT_SORT)
    sort = sort if sort in SORTS else DEFAULT_SORT
    patient, typed = request.GET.get("patient") == "1", request.GET.get("q", "")
    text, chosen, error = "", EVERYTHING, ""
    found = Found([], [], "", "")
    try:
        text, chosen = _asked(request.GET)
        found = search(text, days, request.GET.get("after", ""), chosen, sort, patient=patient)
    except BadFilter as problem:
        error = str(problem)
    conditions = chosen.texts()
    kept = {**({"q": text} if text else {}), **conditions, **({"days": str(days)} if days != kept_days else {})}
    ordered = {**kept, "sort": found.sort} if found.sort != DEFAULT_SORT else kept
    longer = {"patient": "1"} if found.extent else {}
    return page(
        request,
        "spool/console/trace.html",
        _("Message trace"),
        {
            "found": found,
            "error": error,
            "q": typed if error else text,
            "days": days,
            "kept_days": kept_days,
            "choices": [d for d in (1, 3, 7, 14, 30, 90) if d < kept_days] + [kept_days],
            "here": reverse("admin:spool_trace_changelist"),
            "now": timezone.now(),
            "chips": chips(conditions, TRACE_FIELDS),
            "conditions": conditions,
            "fields": [(name, label, example, conditions.get(name, "")) for name, label, example in _PANEL],
            "outcomes": [one for one in Outcome.choices if one[0] != Outcome.PENDING],
            "headings": headings_of(COLUMNS, kept, found.sort, lambda column: _why_not(column, chosen, text)),
            "partial": found.extent.sentence(len(found.traces)) if found.extent else "",
            "without_q": urlencode({name: value for name, value in kept.items() if name != "q"}),
            "extra": urlencode({name: value for name, value in kept.items() if name in ("q", "days")}),
            "following": urlencode({**ordered, **longer, "after": found.after}) if found.after else "",
            "kept": ordered,
            "most": MOST_EXPORTED,
        },
    )


@require_POST
def export_trace(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """All that is meant as CSV or JSON, up to a bound; written down, for it says who wrote to whom."""
    form, kept_days = request.POST.get("format", ""), current().trace_days
    try:
        text, chosen = _asked(request.POST)
    except BadFilter as problem:
        return HttpResponse(str(problem), status=400, content_type="text/plain")
    if form not in FORMATS:
        return HttpResponse(
            (_("The formats are %(formats)s.") % {"formats": ", ".join(FORMATS)}), status=400, content_type="text/plain"
        )
    days, sort = _days(request.POST, kept_days), request.POST.get("sort", DEFAULT_SORT)
    given = {"format": form, "filter": {**chosen.texts(), **({"q": text} if text else {}), "days": days}}
    record(
        actor_of(request),
        "export trace",
        f"{in_source(chosen.sentence)}{f', {text}' if text else ''}",
        parameters=given,
    )
    rows = _rows(text, chosen, days, sort if sort in SORTS else DEFAULT_SORT)
    answer = StreamingHttpResponse(
        WRITERS[form](map(traces.as_values, rows), traces.COLUMNS), content_type=FORMATS[form]
    )
    answer["Content-Disposition"] = f'attachment; filename="trace-{timezone.localdate():%Y-%m-%d}.{form}"'
    return answer


def _rows(text: str, chosen: TraceFilter, days: int, sort: str) -> Iterator[Trace]:
    since = timezone.now() - timedelta(days=days)
    return every(chosen, sort=sort, choices=named_by(text).choices, since=since)


def _asked(given: QueryDict) -> tuple[str, TraceFilter]:
    """The text that names a message, and the conditions. Raises BadFilter."""
    text, more = asked_by(given.get("q", ""))
    of_page = ("days", "format", "csrfmiddlewaretoken")
    asked = given.copy()
    for name in of_page:
        asked.pop(name, None)
    for name, value in more.items():
        asked[name] = value
    return text, TraceFilter.from_query(asked)


def _days(given: QueryDict, kept_days: int) -> int:
    asked = given.get("days", "")
    days = min(int(asked), kept_days) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 5 else kept_days
    return max(1, days)


def _why_not(column: Column, chosen: TraceFilter, text: str) -> str:
    if not column.sort:
        return _("The list can't be sorted by this.")
    is_free = can_be_sorted(chosen, column.sort, named_by(text).choices)
    return "" if is_free else _("What an address, IP, file name or Message-ID leaves is sorted by time.")
