"""The page of the audit: who did what to what, searched, filtered, sorted, and as a file."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from base.action import record
from base.audit.models import AuditEvent
from base.audit.results import Result
from base.audit.sentences import field, kind_in_words, known_actions, known_kinds, title
from base.declared_settings import parted
from base.languages import in_source
from base.texts import Text
from spool.actions import undoable
from spool.console.listing import Chip, Column, headings_of
from spool.console.pages import actor_of, page
from spool.filters import BadFilter
from spool.filters import audit as filters
from spool.filters.audit import DEFAULT_SORT, SORTS, SOURCES, AuditFilter, AuditPage
from spool.transfer.streamed import FORMATS, WRITERS

COLUMNS = (
    Column(_lazy("When"), "c-name", "-at"),
    Column(_lazy("Who"), "", "actor"),
    Column(_lazy("Action"), "", "action"),
    Column(_lazy("On"), ""),
    Column(_lazy("Outcome"), ""),
)
# What each condition is called: in its field, and in its chip.
LABELS: dict[str, tuple[Text, Text]] = {
    "text": (_lazy("Search"), "“{}”"),
    "actor": (_lazy("Who"), _lazy("By {}")),
    "action": (_lazy("Action"), _lazy("Action: {}")),
    "source": (_lazy("Source"), _lazy("By {}")),
    "result": (_lazy("Result"), _lazy("Result: {}")),
    "kind": (_lazy("Kind"), _lazy("On a {}")),
    "key": (_lazy("On"), _lazy("On {}")),
    "row": (_lazy("Number"), _lazy("No. {} of its kind")),
    "changed": (_lazy("Changed"), _lazy("Changed: {}")),
    "ip": (_lazy("From IP"), _lazy("From {}")),
    "since": (_lazy("From"), _lazy("From {}")),
    "until": (_lazy("Until"), _lazy("Until {}")),
}
_SOURCES = {"page": _lazy("Console"), "shell": _lazy("Command line"), "system": _lazy("Mailspool itself")}


@require_GET
def audit_page(request: HttpRequest) -> HttpResponse:
    """Newest first, unless it is asked for otherwise."""
    chosen, error = _chosen(request.GET)
    sort = request.GET.get("sort", DEFAULT_SORT)
    sort = sort if sort in SORTS and chosen.can_be_sorted(sort) else DEFAULT_SORT
    try:
        found = filters.page(chosen, sort, request.GET.get("after", ""))
    except BadFilter as problem:
        error, found = error or str(problem), AuditPage([], sort)
    ids = [event.pk for event in found.events]
    texts = chosen.texts()
    asked = {("q" if name == "text" else name): value for name, value in texts.items()}
    kept = {**asked, **({"sort": sort} if sort != DEFAULT_SORT else {})}
    return page(
        request,
        "spool/console/audit.html",
        _("Audit"),
        {
            "events": found.events,
            "undoable": undoable(ids),
            "looked": found.looked,
            "error": error,
            "values": asked,
            "text": chosen.text,
            "others": {name: value for name, value in kept.items() if name != "q"},
            "chips": [_chip(name, texts, sort) for name in texts],
            "headings": headings_of(COLUMNS, asked, sort, lambda column: _why_not(chosen, column)),
            "doors": _SOURCES,
            "sources": [(code, _SOURCES[code]) for code in SOURCES],
            "results": Result.choices,
            "actions": [(code, title(code)) for code in known_actions()],
            "kinds": [(code, kind_in_words(code)) for code in known_kinds()],
            "following": urlencode({**kept, "after": found.following}) if found.following else "",
            "next": _("Older") if sort == DEFAULT_SORT else _("Next"),
            "here": reverse("admin:audit_auditevent_changelist"),
            "now": timezone.now(),
        },
    )


@require_POST
def export_audit(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """All that a filter means as CSV or JSON, with codes and sentences; written down too."""
    chosen, error = _chosen(request.POST)
    form = request.POST.get("format", "")
    if error or form not in FORMATS:
        return HttpResponse(
            error or (_("The formats are %(formats)s.") % {"formats": ", ".join(FORMATS)}),
            status=400,
            content_type="text/plain",
        )
    given = {"format": form, "filter": chosen.texts()}
    written = record(actor_of(request), "export audit", in_source(chosen.sentence), parameters=given)
    events = (event for event in filters.every(chosen) if event.pk != written.pk)
    rows = WRITERS[form](map(as_values, events), tuple(as_values(written)))
    answer = StreamingHttpResponse(rows, content_type=FORMATS[form])
    answer["Content-Disposition"] = f'attachment; filename="audit-{timezone.localdate():%Y-%m-%d}.{form}"'
    return answer


def _why_not(chosen: AuditFilter, column: Column) -> str:
    if not column.sort:
        return _("The list can't be sorted by this.")
    return "" if chosen.can_be_sorted(column.sort) else _("What a filter leaves is sorted by time.")


def _chosen(given: Any) -> tuple[AuditFilter, str]:
    try:
        return AuditFilter.parse({**{name: given.get(name) for name in LABELS}, "text": given.get("q")}), ""
    except BadFilter as problem:
        return AuditFilter(), str(problem)


def _chip(name: str, texts: dict[str, str], sort: str) -> Chip:
    rest = {("q" if other == "text" else other): value for other, value in texts.items() if other != name}
    shown: Text = texts[name]
    if name == "source":
        shown = _SOURCES.get(texts[name], texts[name])
    elif name == "action":
        shown = title(texts[name])
    elif name == "result":
        shown = Result(texts[name]).label
    elif name == "kind":
        shown = kind_in_words(texts[name])
    elif name == "changed":
        shown = parted(field(texts.get("kind", ""), texts[name]))[0]
    return Chip(str(LABELS[name][1]).format(shown), urlencode({**rest, "sort": sort} if rest else {}))


def as_values(event: AuditEvent) -> dict[str, Any]:
    """An event for programs: codes and parameters, and the sentence for people."""
    return {
        "id": event.pk,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "source": event.source,
        "ip": event.ip,
        "via": event.via,
        "action": event.action,
        "kind": event.kind,
        "key": event.key,
        "on": event.on,
        "result": event.result,
        "matched": event.matched,
        "done": event.done,
        "skipped": event.skipped,
        "undone": event.undone,
        "parameters": event.parameters,
        "filter": event.filter,
        "outcome": event.outcome,
    }
