"""The dialogs of actions, doing them, their progress, and undo. Thin doors to spool.actions."""

from __future__ import annotations

from dataclasses import replace

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from spool import actions
from spool.console.actions import BY_NAME
from spool.console.dialogs import Dialogs, chosen_ids
from spool.console.jobs import shown
from spool.console.list_views import WAITING
from spool.console.pages import actor_of
from spool.filters import SpoolFilter
from spool.models import AuditEvent, BulkJob, Status


def _selection(request: HttpRequest) -> actions.Selection:
    """All that match the list's filter, or the chosen ones. Raises BadFilter."""
    chosen = SpoolFilter.from_query(QueryDict(request.POST.get("query", "")))
    if request.POST.get("all") == "1":
        if request.POST.get("page") == WAITING:
            chosen = chosen.with_values(status=Status.WAITING.value)
        return actions.Selection.of(chosen)
    return replace(actions.Selection.of(chosen_ids(request)), of_mailbox=chosen.mailbox)


_DIALOGS = Dialogs("admin:spool_entry", lambda _, name: BY_NAME.get(name), "force", _selection, actions.export, "spool")
dialog, perform = require_POST(_DIALOGS.dialog), require_POST(_DIALOGS.perform)


@require_GET
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """How far a job is."""
    found = get_object_or_404(BulkJob.objects.select_related("event"), pk=pk)
    answer = render(request, "spool/console/_job.html", {"job": found, **shown(found, actor_of(request))})
    if found.ended_or_cancelled:
        answer["HX-Trigger"] = "ms-changed"
    return answer


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a job; what is done stays done."""
    found = get_object_or_404(BulkJob.objects.select_related("event"), pk=pk)
    try:
        actions.cancel(pk, actor_of(request))
    except actions.NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    found.refresh_from_db()
    return render(request, "spool/console/_job.html", {"job": found, **shown(found, actor_of(request))})


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Put back what one action took out of the spool."""
    event = get_object_or_404(AuditEvent, pk=pk)
    try:
        outcome = actions.undo(actor_of(request), event_id=event.pk)
    except actions.Refused as error:
        return render(request, "spool/console/_refused.html", {"sentence": str(error)})
    answer = render(request, "spool/console/_job.html", {"job": outcome.job, **shown(outcome.job, actor_of(request))})
    answer["HX-Trigger"] = "ms-done"
    return answer
