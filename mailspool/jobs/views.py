"""The page of jobs, that of one job, and what is done to those that were chosen on it. All without a script too."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from base.actions.action import NotAllowed, Refused, Target
from base.actions.perform import perform, preview
from base.numbers import grouped
from mailspool.jobs.actions import BY_NAME
from mailspool.jobs.kinds import details_of, function_of, label_of
from mailspool.jobs.reading import MOST_RESULTS, PAGE, Failed, RedisIsAway, failed, state, whole
from mailspool.jobs.workers import at_work, workers
from spool.console.pages import actor_of, is_htmx, page


@require_GET
def jobs(request: HttpRequest) -> HttpResponse:
    """All of it; what refreshes itself asks for its part."""
    part = request.headers.get("HX-Target", "") if is_htmx(request) else ""
    context: dict[str, Any] = {"here": reverse("jobs"), "full_path": request.get_full_path(), "now": timezone.now()}
    try:
        if part != "failed-jobs":
            context |= _live()
        if part != "live":
            context |= _failed(request.GET.get("from", ""))
    except RedisIsAway as error:
        # What was read before it went would tell half a story.
        context = {"here": reverse("jobs"), "full_path": request.get_full_path(), "away": str(error)}
    if part == "live":
        return render(request, "mailspool/jobs/_live.html", context)
    if part == "failed-jobs":
        return render(request, "mailspool/jobs/_failed.html", context)
    return page(request, "mailspool/jobs/jobs.html", _("Jobs"), context)


@require_GET
def job(request: HttpRequest, job_id: str) -> HttpResponse:
    """One job, with its whole error."""
    try:
        found = whole(job_id)
    except RedisIsAway as error:
        return page(request, "mailspool/jobs/job.html", _("Job"), {"away": str(error), "job_id": job_id})
    if found is None:
        raise Http404(_("There is no such job any more."))
    call = found.job.call
    context = {
        "found": found,
        "label": label_of(call),
        "detail": details_of([call]).get(call, ""),
        "is_failed": found.status == "failed",
        "most": MOST_RESULTS,
        "back": reverse("jobs"),
    }
    return page(
        request,
        "mailspool/jobs/job.html",
        (_("%(call)s, job %(id)s") % {"call": label_of(call), "id": found.job.id}),
        context,
    )


@require_POST
def act(request: HttpRequest) -> HttpResponse:
    """Retry or forget the failed jobs that were chosen. Forgetting asks once more, which is a page here."""
    action, ids = BY_NAME.get(request.POST.get("do", "")), tuple(dict.fromkeys(request.POST.getlist("job")))
    back = f"{reverse('jobs')}?{urlencode({'from': request.POST['from']})}" if request.POST.get("from") else "jobs"
    if action is None or len(ids) > PAGE or any(not 0 < len(one) <= 200 for one in ids):
        return HttpResponseBadRequest(_("This is nothing that can be done to jobs."))
    if not ids:
        messages.warning(request, "Choose jobs first.")
        return redirect(back)
    target = Target("job", ids)
    try:
        if action.danger and not request.POST.get("sure"):
            context = {
                "action": action,
                "ids": ids,
                "chosen": len(ids),
                "from": request.POST.get("from", ""),
                "effect": preview(action, actor_of(request), target).effect,
                "back": back if "?" in back else reverse(back),
            }
            return page(
                request,
                "mailspool/jobs/sure.html",
                ngettext("%(action)s %(number)s job", "%(action)s %(number)s jobs", len(ids))
                % {"action": action.label, "number": grouped(len(ids))},
                context,
            )
        done = perform(action, actor_of(request), target)
        messages.add_message(request, messages.SUCCESS if done.good else messages.WARNING, done.sentence)
    except (Refused, NotAllowed) as error:
        messages.error(request, str(error))
    return redirect(back)


def moved(request: HttpRequest, rest: str = "") -> HttpResponse:
    """To here, from wherever another page of queues was."""
    return redirect("jobs")


def _live() -> dict[str, Any]:
    now = state()
    alive, missing = workers()
    alive = at_work(alive, now.running)
    about = details_of([*(one.call for one in alive), *(one.call for one in now.running)])
    places = {worker.rq_name: worker for worker in alive if worker.rq_name}
    return {
        "state": now,
        "workers": [(one, label_of(one.call) if one.job else "", about.get(one.call, "")) for one in alive],
        "missing": missing,
        "queues": [(queue, label_of(queue.oldest.call) if queue.oldest else "") for queue in now.queues],
        "running": [(one, label_of(one.call), about.get(one.call, ""), places.get(one.worker)) for one in now.running],
        "scheduled": [(one, label_of(one.call)) for one in now.scheduled],
    }


def _failed(place: str) -> dict[str, Any]:
    shown = failed(place)
    about = details_of(one.call for one in shown.jobs)
    return {
        "failed": [_row(one, about) for one in shown.jobs],
        "next": urlencode({"from": shown.next}) if shown.next else "",
        "place": place,
        "most": MOST_RESULTS,
    }


def _row(one: Failed, about: dict[str, str]) -> dict[str, Any]:
    return {
        "job": one,
        "label": _("Lapsed") if one.is_gone else label_of(one.call),
        "function": function_of(one.call),
        "detail": about.get(one.call, ""),
        "menu": f"{reverse('thing_menu', args=['job'])}?{urlencode({'key': one.id})}",
    }
