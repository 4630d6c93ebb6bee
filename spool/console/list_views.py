"""The pages Spool and Waiting to Deliver."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from base import machine
from base.action import record
from base.languages import in_source
from base.texts import Text
from spool.console.actions import ACTIONS, offered
from spool.console.addressees import addressees
from spool.console.groups import Grouped, Grouping, grouped_as, grouping_of
from spool.console.layout import arranged, forget, keep, layout_of
from spool.console.list_page import list_page
from spool.console.listing import Listing, is_patient, listing
from spool.console.pages import actor_of
from spool.console.tabs import has_columns, titles
from spool.filters import FIELDS, SpoolFilter, understand
from spool.filters.groups import groups_of
from spool.models import Entry, Priority, SavedView, Status

ALL = "admin:spool_entry_changelist"
WAITING = "admin:spool_entry_waiting"
_TITLES = {ALL: _lazy("Spool"), WAITING: _lazy("Waiting to Deliver")}


@require_GET
def spool_list(request: HttpRequest) -> HttpResponse:
    """Every entry there is."""
    return _list(request, ALL)


@require_GET
def waiting_list(request: HttpRequest) -> HttpResponse:
    """Entries that wait for their next attempt, with the reason."""
    return _list(request, WAITING)


def _list(request: HttpRequest, url_name: str) -> HttpResponse:
    return list_page(
        request,
        url_name,
        _TITLES[url_name],
        "spool/console",
        lambda: _context(request, url_name),
        _meaning,
        SpoolFilter.from_query,
    )


def _meaning(text: str) -> dict[str, str]:
    return {term.field: term.value for term in understand(text)}


def _context(request: HttpRequest, url_name: str) -> dict[str, Any]:
    layout = layout_of(request.user.pk, url_name)
    shown = listing(request.GET, layout.columns, layout.page_size, only_waiting=url_name == WAITING)
    values = shown.chosen.texts()
    return {
        "listing": shown,
        "groupings": GROUPINGS,
        "grouped": _grouped(request, shown),
        **arranged(layout),
        "addressees": addressees(shown.entries) if layout.shows("recipient", "destination") else {},
        "is_waiting": url_name == WAITING,
        "actions": offered(ACTIONS, actor_of(request)),
        "values": values,
        "fields": [(name, label, example, values.get(name, "")) for name, label, example in _panel()],
        "statuses": Status.choices,
        "priorities": [label.lower() for label in Priority.labels],
    }


GROUPINGS = (
    Grouping("sender", _lazy("Sender"), "sender", "<> (null sender)"),
    Grouping("subject", _lazy("Subject"), "exact-subject", _lazy("(no subject)")),
    Grouping("destination", _lazy("Destination"), "domain", "–"),
    Grouping("error", _lazy("Last error"), "error-group", _lazy("(no error)")),
)


def _grouped(request: HttpRequest, shown: Listing[Entry]) -> Grouped | None:
    """The list by what was asked for; None when it is not grouped, or its filter makes no sense."""
    by = grouping_of(request.GET.get("group", ""), GROUPINGS)
    if by is None or shown.error:
        return None
    patient = is_patient(request.GET)
    found = groups_of(shown.chosen, by.name, patient=patient)
    return grouped_as(by, found, shown.conditions, FIELDS, patient=patient)


# (name of the field, label, an example)
_PANEL = (
    ("sender", _lazy("Sender"), _lazy("ann@example.org or *@example.org")),
    ("recipient", _lazy("Recipient"), "bob@example.net"),
    ("mailbox", _lazy("Mailbox here"), "bob@example.org"),
    ("domain", _lazy("Destination domain"), "example.net"),
    ("ip", _lazy("Client IP"), "192.0.2.7"),
    ("subject", _lazy("Words of the subject"), "invoice"),
    ("error", _lazy("Last error has"), "greylist"),
    ("older", _lazy("In spool longer than"), _lazy("2h or 3d")),
    ("younger", _lazy("In spool less than"), "30m"),
    ("larger", _lazy("Larger than"), "10MB"),
    ("smaller", _lazy("Smaller than"), "20KB"),
    ("min-attempts", _lazy("At least attempts"), "3"),
    ("max-attempts", _lazy("At most attempts"), "5"),
    ("machine", _lazy("Machine that took it in"), "mx1"),
)


def _panel() -> list[tuple[str, Text, Text]]:
    """The fields of the filter that this installation has a use for."""
    return [field for field in _PANEL if field[0] != "machine" or machine.noted()]


@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filter and order of a section's list under a name; one that is there already means the new one."""
    url_name = request.POST.get("page", "")
    name = " ".join(request.POST.get("name", "").split())[:60]
    if url_name not in titles() or not name:
        messages.error(request, _("Give the view a name."))
        return HttpResponseRedirect(reverse(url_name if url_name in titles() else ALL))
    query = request.POST.get("query", "")[:2000]
    assert isinstance(request.user, User)
    with transaction.atomic():
        SavedView.objects.update_or_create(user=request.user, page=url_name, name=name, defaults={"query": query})
        record(
            actor_of(request),
            "save view",
            name,
            parameters={"page": in_source(lambda: titles()[url_name]), "query": query},
        )
    messages.success(request, (_("The view “%(name)s” is saved.") % {"name": name}))
    return HttpResponseRedirect(f"{reverse(url_name)}?{query}")


@require_POST
def save_layout(request: HttpRequest) -> HttpResponse:
    """Keep how one of the lists is to look to this user, or have it look as at first."""
    url_name, user = request.POST.get("page", ""), request.user
    assert isinstance(user, User)
    if not has_columns(url_name):
        return HttpResponseRedirect(reverse(ALL))
    if "reset" in request.POST:
        forget(user.pk, url_name)
    else:
        columns, density = request.POST.getlist("column"), request.POST.get("density", "")
        keep(user.pk, url_name, columns, density, request.POST.get("page_size", ""))
    return HttpResponseRedirect(f"{reverse(url_name)}?{request.POST.get('query', '')[:2000]}")


@require_POST
def forget_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove one of the user's own views."""
    view = SavedView.objects.filter(user=request.user.pk, pk=pk).first()
    if view is None:
        return HttpResponseRedirect(reverse(ALL))
    with transaction.atomic():
        view.delete()
        record(actor_of(request), "remove view", view.name)
    messages.success(request, (_("The view “%(view)s” is removed.") % {"view": view.name}))
    return HttpResponseRedirect(reverse(view.page if view.page in titles() else ALL))
