"""The dialogs of actions, doing them, their progress, and undo. Thin doors to spool.actions."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from spool import actions
from spool.console.actions import BY_NAME, Button, first_values
from spool.console.list_views import WAITING
from spool.filters import BadFilter, SpoolFilter
from spool.models import AuditEvent, BulkJob, JobState, Status
from spool.models.bulkjob import OPEN


def actor_of(request: HttpRequest) -> actions.Actor:
    assert isinstance(request.user, User)
    return actions.Actor.of(request.user)


@require_POST
def dialog(request: HttpRequest, name: str) -> HttpResponse:
    """How many an action is for, a sample of them, and what it will do: to be agreed to."""
    return _dialog(request, _button(name))


def _dialog(request: HttpRequest, button: Button, error: str = "") -> HttpResponse:
    values = first_values(button) | _given(request, button)
    context: dict[str, Any] = {
        "action": button, "ids": request.POST.get("ids", ""), "all": request.POST.get("all", ""),
        "query": request.POST.get("query", ""), "page_name": request.POST.get("page", ""), "error": error,
        "inputs": [(field, values.get(field.name, "")) for field in button.inputs],
        "dialog_link": reverse("admin:spool_entry_dialog", args=[button.url]),
        "perform_link": reverse("admin:spool_entry_perform", args=[button.url]),
    }  # fmt: skip
    try:
        what = _selection(request)
        # An export changes nothing: what is counted and shown is the same for every action.
        name = "force" if button.url == "export" else button.url
        context["preview"] = actions.preview(name, what, actor_of(request), **values)
    except actions.Refused as refused:
        context["preview"] = actions.preview("force", what, actor_of(request))
        context["unready"] = str(refused)
    except BadFilter as problem:
        context["error"] = str(problem)
    return render(request, "spool/console/_dialog.html", context)


@require_POST
def perform(request: HttpRequest, name: str) -> HttpResponseBase:
    """Do it. What can't be done as asked comes back as the dialog, with the reason."""
    button = _button(name)
    values = first_values(button) | _given(request, button)
    try:
        what = _selection(request)
        if button.url == "export":
            return _export(request, what, values["format"])
        given: dict[str, Any] = dict(values)
        outcome = actions.perform(button.url, what, actor_of(request), **given)
    except (actions.Refused, BadFilter) as error:
        return _dialog(request, button, str(error))
    answer = render(request, "spool/console/_done.html", {"job": outcome.job, **shown(outcome.job)})
    answer["HX-Trigger"] = "ms-done"
    return answer


def _export(request: HttpRequest, what: actions.Selection, form: str) -> StreamingHttpResponse:
    pieces = actions.export(what, form, actor_of(request))
    answer = StreamingHttpResponse(pieces, content_type=actions.FORMATS[form][1])
    stamp = timezone.localtime().strftime("%Y%m%d-%H%M%S")
    answer["Content-Disposition"] = f'attachment; filename="spool-{stamp}.{form}"'
    return answer


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


def shown(found: BulkJob) -> dict[str, Any]:
    verb = actions.WORKS.get(found.action)
    return {
        "is_open": found.state in OPEN, "undoable": actions.can_undo(found.event),
        "label": verb.label if verb else found.action,
        "good": found.state == JobState.DONE and (found.done > 0 or not found.skipped),
    }  # fmt: skip


def open_jobs() -> list[BulkJob]:
    """Those that are being worked on, by whomever they were begun."""
    return list(BulkJob.objects.filter(state__in=OPEN).order_by("pk")[:5])


def _button(name: str) -> Button:
    try:
        return BY_NAME[name]
    except KeyError as error:
        raise Http404("There is no such action.") from error


def _given(request: HttpRequest, button: Button) -> dict[str, str]:
    return {field.name: request.POST[f"p-{field.name}"] for field in button.inputs if f"p-{field.name}" in request.POST}


def _selection(request: HttpRequest) -> actions.Selection:
    """All that match the list's filter, or the chosen ones. Raises BadFilter."""
    if request.POST.get("all") == "1":
        chosen = SpoolFilter.from_query(QueryDict(request.POST.get("query", "")))
        if request.POST.get("page") == WAITING:
            chosen = chosen.with_values(status=Status.WAITING.value)
        return actions.Selection.of(chosen)
    ids = [int(text) for text in request.POST.get("ids", "").split(",") if text.isascii() and text.isdigit()]
    if not ids:
        raise BadFilter("Nothing is selected.")
    return actions.Selection.of(ids)
