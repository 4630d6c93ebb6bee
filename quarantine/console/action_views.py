"""The dialogs of Resend, Delete and Move, and doing them. Thin doors to spool.actions."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.views.decorators.http import require_POST

from quarantine.actions.exports import export
from quarantine.actions.selection import ItemSelection
from quarantine.console.actions import button_named
from quarantine.console.list_views import URL_NAMES
from quarantine.filters import ItemFilter
from quarantine.models.item import ItemKind
from spool.actions import Refused
from spool.console.actions import Button
from spool.console.dialogs import Dialogs, chosen_ids, download, values_of
from spool.console.pages import actor_of
from spool.filters import BadFilter


@require_POST
def dialog(request: HttpRequest, name: str) -> HttpResponse:
    """How many an action is for, a sample of them, and what it will do: to be agreed to."""
    return DIALOGS.show(request, _button(request, name))


@require_POST
def perform(request: HttpRequest, name: str) -> HttpResponseBase:
    """Do it. What can't be done as asked comes back as the dialog, with the reason."""
    button = _button(request, name)
    if button.url != "export":
        return DIALOGS.perform(request, button)
    form = values_of(request, button)["format"]
    try:
        return download(export(_selection(request), form, actor_of(request)), form, "quarantine")
    except (Refused, BadFilter) as error:
        return DIALOGS.show(request, button, str(error))


def _button(request: HttpRequest, name: str) -> Button:
    """The button of the list that is open, or of the one message that is."""
    kinds = {url_name: kind for kind, url_name in URL_NAMES.items()}
    found = button_named(name, kinds.get(request.POST.get("page", ""), ItemKind.VIRUS))
    if found is None:
        raise Http404("There is no such action.")
    return found


def _selection(request: HttpRequest) -> ItemSelection:
    """All that match the list's filter, or the chosen ones. Raises BadFilter."""
    if request.POST.get("all") == "1":
        kinds: dict[str, ItemKind] = {name: kind for kind, name in URL_NAMES.items()}
        kind = kinds.get(request.POST.get("page", ""))
        if kind is None:
            raise BadFilter("It is not said which quarantine is meant.")
        return ItemSelection.of(ItemFilter.from_query(QueryDict(request.POST.get("query", "")), kind=kind.value))
    return ItemSelection.of(chosen_ids(request))


# An export changes nothing: what is counted and shown is the same for every action.
DIALOGS = Dialogs(
    "admin:quarantine_item",
    lambda name: f"quarantine-{'resend' if name == 'export' else name}",
    "quarantine-resend",
    _selection,
)
