"""The dialogs of Resend, Delete and Move, and doing them. Thin doors to spool.actions."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from quarantine.actions.selection import ItemSelection
from quarantine.console.actions import button_named
from quarantine.console.list_views import URL_NAMES
from quarantine.filters import ItemFilter
from quarantine.models.item import ItemKind
from spool import actions
from spool.console.action_views import actor_of, shown
from spool.console.actions import Button, first_values
from spool.filters import BadFilter


@require_POST
def dialog(request: HttpRequest, name: str) -> HttpResponse:
    """How many an action is for, a sample of them, and what it will do: to be agreed to."""
    return _dialog(request, _button(request, name))


def _dialog(request: HttpRequest, button: Button, error: str = "") -> HttpResponse:
    values = first_values(button) | _given(request, button)
    context: dict[str, Any] = {
        "action": button, "ids": request.POST.get("ids", ""), "all": request.POST.get("all", ""),
        "query": request.POST.get("query", ""), "page_name": request.POST.get("page", ""), "error": error,
        "inputs": [(field, values.get(field.name, "")) for field in button.inputs],
        "dialog_link": reverse("admin:quarantine_item_dialog", args=[button.url]),
        "perform_link": reverse("admin:quarantine_item_perform", args=[button.url]),
    }  # fmt: skip
    try:
        what = _selection(request)
        context["preview"] = actions.preview(f"quarantine-{button.url}", what, actor_of(request), **values)
    except actions.Refused as refused:
        context["preview"] = actions.preview("quarantine-resend", what, actor_of(request))
        context["unready"] = str(refused)
    except BadFilter as problem:
        context["error"] = str(problem)
    return render(request, "spool/console/_dialog.html", context)


@require_POST
def perform(request: HttpRequest, name: str) -> HttpResponse:
    """Do it. What can't be done as asked comes back as the dialog, with the reason."""
    button = _button(request, name)
    given: dict[str, Any] = dict(first_values(button) | _given(request, button))
    try:
        outcome = actions.perform(f"quarantine-{button.url}", _selection(request), actor_of(request), **given)
    except (actions.Refused, BadFilter) as error:
        return _dialog(request, button, str(error))
    answer = render(request, "spool/console/_done.html", {"job": outcome.job, **shown(outcome.job)})
    answer["HX-Trigger"] = "ms-done"
    return answer


def _button(request: HttpRequest, name: str) -> Button:
    """The button of the list that is open, or of the one message that is."""
    kinds = {url_name: kind for kind, url_name in URL_NAMES.items()}
    found = button_named(name, kinds.get(request.POST.get("page", ""), ItemKind.VIRUS))
    if found is None:
        raise Http404("There is no such action.")
    return found


def _given(request: HttpRequest, button: Button) -> dict[str, str]:
    return {field.name: request.POST[f"p-{field.name}"] for field in button.inputs if f"p-{field.name}" in request.POST}


def _selection(request: HttpRequest) -> ItemSelection:
    """All that match the list's filter, or the chosen ones. Raises BadFilter."""
    if request.POST.get("all") == "1":
        kinds: dict[str, ItemKind] = {name: kind for kind, name in URL_NAMES.items()}
        kind = kinds.get(request.POST.get("page", ""))
        if kind is None:
            raise BadFilter("It is not said which quarantine is meant.")
        return ItemSelection.of(ItemFilter.from_query(QueryDict(request.POST.get("query", "")), kind.value))
    ids = [int(text) for text in request.POST.get("ids", "").split(",") if text.isascii() and text.isdigit()]
    if not ids:
        raise BadFilter("Nothing is selected.")
    return ItemSelection.of(ids)
