"""The pages Spam Quarantine and Virus Quarantine."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET

from quarantine.console.actions import buttons_for
from quarantine.console.listing import listing, recipients_of, usage
from quarantine.engines.scanner import scanners_for
from quarantine.filters import ITEM_FIELDS, ItemFilter, search
from quarantine.filters.groups import OF_KIND, groups_of
from quarantine.models.antivirus import AntivirusSettings
from quarantine.models.check import current_checks
from quarantine.models.item import Item, ItemKind
from spool.console.groups import Grouped, Grouping, grouped_as, grouping_of
from spool.console.layout import arranged, layout_of
from spool.console.list_page import list_page
from spool.console.listing import Listing, is_patient
from spool.console.pages import actor_of

SECTION = "admin:quarantine_item_changelist"
URL_NAMES = {kind: f"admin:quarantine_item_{kind.value}" for kind in ItemKind}
# (name of the field, label, an example)
_PANEL = (
    ("sender", _lazy("Sender"), _lazy("ann@example.org or *@example.org")),
    ("recipient", _lazy("Recipient"), "bob@example.net"),
    ("ip", _lazy("Client IP"), "192.0.2.7"),
    ("subject", _lazy("Words of the subject"), "invoice"),
    ("why", _lazy("Caught for"), _lazy("Eicar or DNSBL")),
    ("min-score", _lazy("At least this score"), "10"),
    ("older", _lazy("In quarantine longer than"), _lazy("2h or 3d")),
    ("younger", _lazy("In quarantine less than"), "30m"),
    ("larger", _lazy("Larger than"), "10MB"),
    ("smaller", _lazy("Smaller than"), "20KB"),
)


_GROUPINGS = {
    "sender": Grouping("sender", _lazy("Sender"), "sender", "<> (null sender)"),
    "subject": Grouping("subject", _lazy("Subject"), "exact-subject", _lazy("(no subject)")),
    "rule": Grouping("rule", _lazy("Rule"), "why", _lazy("(no rule)")),
    "name": Grouping("name", _lazy("Virus"), "why", _lazy("(no name)")),
}


@require_GET
def either(request: HttpRequest) -> HttpResponse:
    """The section's own address."""
    return HttpResponseRedirect(reverse(URL_NAMES[ItemKind.SPAM]))


@require_GET
def spam_list(request: HttpRequest) -> HttpResponse:
    """What the spam check has caught."""
    return _list(request, ItemKind.SPAM)


@require_GET
def virus_list(request: HttpRequest) -> HttpResponse:
    """What the virus check has caught."""
    return _list(request, ItemKind.VIRUS)


def _list(request: HttpRequest, kind: ItemKind) -> HttpResponse:
    url_name = URL_NAMES[kind]
    return list_page(
        request,
        url_name,
        (_("%(kind)s Quarantine") % {"kind": kind.label}),
        "quarantine",
        lambda: _context(request, kind),
        search,
        ItemFilter.from_query,
    )


def _context(request: HttpRequest, kind: ItemKind) -> dict[str, Any]:
    layout = layout_of(request.user.pk, URL_NAMES[kind])
    shown = listing(request.GET, kind, layout.columns, layout.page_size)
    values = shown.chosen.texts()
    panel = [
        (name, *rest, values.get(name, "")) for name, *rest in _PANEL if kind is ItemKind.SPAM or name != "min-score"
    ]
    return {
        "listing": shown,
        "groupings": [_GROUPINGS[name] for name in OF_KIND[kind]],
        "grouped": _grouped(request, shown, kind),
        **arranged(layout),
        "recipients": recipients_of(shown.entries) if layout.shows("recipient") else {},
        "section_link": reverse(SECTION),
        "kind": kind.value,
        "kind_label": kind.label,
        "actions": buttons_for(kind, actor_of(request)),
        "values": values,
        "fields": panel,
        "usage": usage(kind),
        "is_scanning": _is_scanning(kind),
    }


def _grouped(request: HttpRequest, shown: Listing[Item], kind: ItemKind) -> Grouped | None:
    """The list by what was asked for; None when it is not grouped, or its filter makes no sense."""
    by = grouping_of(request.GET.get("group", ""), [_GROUPINGS[name] for name in OF_KIND[kind]])
    if by is None or shown.error:
        return None
    patient = is_patient(request.GET)
    found = groups_of(shown.chosen, by.name, patient=patient)
    return grouped_as(by, found, shown.conditions, ITEM_FIELDS, patient=patient)


def _is_scanning(kind: ItemKind) -> bool:
    if kind is ItemKind.VIRUS:
        return bool(scanners_for(AntivirusSettings.current()))
    return any(check.outbound for check in current_checks())
