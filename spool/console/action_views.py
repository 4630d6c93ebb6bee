"""The dialogs of actions, doing them, their progress, and undo. Thin doors to spool.actions."""

from __future__ import annotations

from dataclasses import replace

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from spool import actions
from spool.console.actions import BY_NAME, Button
from spool.console.dialogs import Dialogs, chosen_ids, download, values_of
from spool.console.jobs import shown
from spool.console.list_views import WAITING
from spool.console.pages import actor_of
from spool.filters import BadFilter, SpoolFilter
from spool.models import AuditEvent, BulkJob, Status


def _selection(request: HttpRequest) -> actions.Selection:
    """All that match the list's filter, or the chosen ones. Raises BadFilter."""
    chosen = SpoolFilter.from_query(QueryDict(request.POST.get("query", "")))
    if request.POST.get("all") == "1":
        if request.POST.get("page") == WAITING:
            chosen = chosen.with_values(status=Status.WAITING.value)
        return actions.Selection.of(chosen)
    return replace(actions.Selection.of(chosen_ids(request)), of_mailbox=chosen.mailbox)


# An export changes nothing: what is counted and shown is the same for every action.
DIALOGS = Dialogs("admin:spool_entry", lambda name: "force" if name == "export" else name, "force", _selection)


@require_POST
def dialog(request: HttpRequest, name: str) -> HttpResponse:
    """How many an action is for, a sample of them, and what it will do: to be agreed to."""
    return DIALOGS.show(request, _button(name))


@require_POST
def perform(request: HttpRequest, name: str) -> HttpResponseBase:
    """Do it. What can't be done as asked comes back as the dialog, with the reason."""
    button = _button(name)
    if button.url != "export":
        return DIALOGS.perform(request, button)
    try:
        form = values_of(request, button)["format"]
        return download(actions.export(_selection(request), form, actor_of(request)), form, "spool")
    except (actions.Refused, BadFilter) as error:
        return DIALOGS.show(request, button, str(error))


@require_GET
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a job is."""
    found = get_object_or_404(BulkJob.objects.select_related("event"), pk=pk)
    answer = render(request, "spool/console/_job.html", {"job": found, **shown(found)})
    if found.ended_or_cancelled:
        answer["HX-Trigger"] = "ms-changed"
    return answer


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a job; what is done stays done."""
    actions.cancel(pk, actor_of(request))
    found = get_object_or_404(BulkJob.objects.select_related("event"), pk=pk)
    return render(request, "spool/console/_job.html", {"job": found, **shown(found)})


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Put back what one action took out of the spool."""
    event = get_object_or_404(AuditEvent, pk=pk)
    try:
        outcome = actions.undo(actor_of(request), event_id=event.pk)
    except actions.Refused as error:
        return render(request, "spool/console/_refused.html", {"sentence": str(error)})
    answer = render(request, "spool/console/_job.html", {"job": outcome.job, **shown(outcome.job)})
    answer["HX-Trigger"] = "ms-done"
    return answer


def _button(name: str) -> Button:
    try:
        return BY_NAME[name]
    except KeyError as error:
        raise Http404("There is no such action.") from error
