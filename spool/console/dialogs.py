"""The dialog of an action, and doing it: what the spool's pages and those of other rooms have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from spool import actions
from spool.console.actions import Button, offer
from spool.console.jobs import shown
from spool.console.pages import actor_of
from spool.filters import BadFilter


@dataclass(frozen=True, slots=True)
class Dialogs:
    """The dialogs of one room. Its views `<urls>_dialog` and `<urls>_perform` take a button's `url`.

    `find` gives the button of that name on the page that is open, if any. `harmless` is an action whose preview says
    how many are meant where there is none: for an export, and when that of another can't be made yet. `select` says
    what is meant; it raises BadFilter. `export` gives a copy of it, in a form, to be saved as a file called `stem`.
    """

    urls: str
    find: Callable[[HttpRequest, str], Button | None]
    harmless: str
    select: Callable[[HttpRequest], Any]
    export: Callable[[Any, str, actions.Actor], Iterator[bytes]]
    stem: str

    def dialog(self, request: HttpRequest, name: str) -> HttpResponse:
        """How many an action is for, a sample of them, and what it will do: to be agreed to."""
        return self._show(request, self._button(request, name))

    def perform(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """Do it. What can't be done as asked comes back as the dialog, with the reason."""
        button = self._button(request, name)
        given: dict[str, Any] = dict(values_of(request, button))
        try:
            if button.verb is None:
                return self._download(self.select(request), given["format"], actor_of(request))
            outcome = actions.perform(button.verb.name, self.select(request), actor_of(request), **given)
        except actions.NotAllowed as error:
            raise PermissionDenied(str(error)) from error
        except (actions.Refused, BadFilter) as error:
            return self._show(request, button, str(error))
        answer = render(
            request, "spool/console/_done.html", {"job": outcome.job, **shown(outcome.job, actor_of(request))}
        )
        answer["HX-Trigger"] = "ms-done"
        return answer

    def _button(self, request: HttpRequest, name: str) -> Button:
        found = self.find(request, name)
        if found is None:
            raise Http404(_("There is no such action."))
        if (shown := offer(found, actor_of(request))) is None:
            raise PermissionDenied(_("Your role does not do that: ask a system administrator."))
        return shown

    def _show(self, request: HttpRequest, button: Button, error: str = "") -> HttpResponse:
        values = values_of(request, button)
        context: dict[str, Any] = {
            "action": button,
            "ids": request.POST.get("ids", ""),
            "all": request.POST.get("all", ""),
            "query": request.POST.get("query", ""),
            "page_name": request.POST.get("page", ""),
            "error": error,
            "inputs": [(field, values.get(field.name, "")) for field in button.inputs],
            "dialog_link": reverse(f"{self.urls}_dialog", args=[button.url]),
            "perform_link": reverse(f"{self.urls}_perform", args=[button.url]),
        }
        try:
            what = self.select(request)
            # An export changes nothing: what is counted and shown is the same for every action.
            name = self.harmless if button.verb is None else button.verb.name
            context["preview"] = actions.preview(name, what, actor_of(request), **values)
        except actions.Refused as refused:
            context["preview"] = actions.preview(self.harmless, what, actor_of(request))
            context["unready"] = str(refused)
        except BadFilter as problem:
            context["error"] = str(problem)
        except actions.NotAllowed as problem:
            raise PermissionDenied(str(problem)) from problem
        return render(request, "spool/console/_dialog.html", context)

    def _download(self, what: Any, form: str, actor: actions.Actor) -> StreamingHttpResponse:
        """An export as a file, named by what it is of and the time."""
        answer = StreamingHttpResponse(self.export(what, form, actor), content_type=actions.FORMATS[form][1])
        stamp = timezone.localtime().strftime("%Y%m%d-%H%M%S")
        answer["Content-Disposition"] = f'attachment; filename="{self.stem}-{stamp}.{form}"'
        return answer


def values_of(request: HttpRequest, button: Button) -> dict[str, str]:
    """What the dialog's fields say, or would say at first."""
    given = {
        field.name: request.POST[f"p-{field.name}"] for field in button.inputs if f"p-{field.name}" in request.POST
    }
    first = {field.name: value for field in button.inputs if (value := field.first_value)}
    return first | given


def chosen_ids(request: HttpRequest) -> list[int]:
    """The ids of the rows that were selected. Raises BadFilter when there is none."""
    ids = [int(text) for text in request.POST.get("ids", "").split(",") if text.isascii() and text.isdigit()]
    if not ids:
        raise BadFilter(_("Nothing is selected."))
    return ids
