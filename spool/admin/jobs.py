"""The pages of the queues, by django-rq, without those of Django's that would look for a table of queues.

Looking at them changes nothing. RQ tidies up whenever it counts, and would take a job whose worker was asleep, or could
not tell Redis for a while, out of its hands and call it failed; tidying up is the workers' own business.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from django_rq.queues import get_queue_by_index
from rq.exceptions import NoSuchJobError
from rq.registry import DeferredJobRegistry, FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

from base.action import record
from spool.console.pages import actor_of

CANNOT_STOP = (
    "A job can't be stopped from here. What an action on many messages still has to do is cancelled on its own page; a "
    "worker that is stopped finishes what is on the wire."
)
# What the pages that only confirm were for.
_DONE = {
    "django_rq_delete_job": "Deleted",
    "django_rq_requeue_job": "Put back into the queue",
    "django_rq_clear": "Emptied",
    "django_rq_requeue_all": "All failed jobs put back into the queue",
    "django_rq_enqueue_job": "To be done now",
    "django_rq_delete_failed_jobs": "All failed jobs deleted",
}
MOST_NAMED = 20
_looking: ContextVar[bool] = ContextVar("looking", default=False)


class JobsAdmin(QueueAdmin):
    """Queues, workers and jobs. There is nothing to add, change or delete here but through them."""

    def get_urls(self) -> list[Any]:
        # Those of a table have its name before theirs; the last one leads from any other address to one of them.
        table = f"{self.opts.app_label}_{self.opts.model_name}_"
        urls = []
        for url in super().get_urls():
            name = url.name or table
            if name == "django_rq_scheduler_jobs":
                # For rq-scheduler, which is no part of this.
                continue
            if name == f"{table}changelist" or not name.startswith(table):
                url.callback = _shown(url.callback, name)
                urls.append(url)
        return urls


def _shown(view: Callable[..., HttpResponse], name: str) -> Callable[..., HttpResponse]:
    """Look only, and answer 404 for what is gone: jobs end, and workers stop, between a list and the click on it.

    What is done by POST is written down. Our workers do a job in their own process (spool.worker): nothing stops one,
    whatever RQ would say.
    """
    stops = name == "django_rq_stop_job"

    @wraps(view)
    def shown(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        token = _looking.set(request.method in ("GET", "HEAD"))
        try:
            if request.method == "POST" and (stops or request.POST.get("action") == "stop"):
                return _cannot_stop(request, view)
            answer = view(request, *args, **kwargs)
            is_done = request.method == "POST" and isinstance(answer, HttpResponseRedirect)
            if is_done and admin.site.has_permission(request):
                _write_down(request, name, kwargs)
            return answer
        except (NoSuchJobError, LookupError, ValueError) as error:
            raise Http404("There is no such job, worker or queue any more") from error
        finally:
            _looking.reset(token)

    return shown


def _write_down(request: HttpRequest, name: str, where: dict[str, Any]) -> None:
    said = _DONE.get(name) or f"{request.POST.get('action', '').capitalize() or 'Something'} was asked for"
    jobs = [where["job_id"]] if "job_id" in where else request.POST.getlist("job_ids")
    queue = get_queue_by_index(where["queue_index"]).name if "queue_index" in where else "the queues"
    about = f"jobs {', '.join(jobs[:MOST_NAMED])} of {queue}" if jobs else queue
    record(actor_of(request), "jobs", about, said, done=max(1, len(jobs)))


def _cannot_stop(request: HttpRequest, view: Callable[..., HttpResponse]) -> HttpResponse:
    if not admin.site.has_permission(request):
        # The view sends them away.
        return view(request, 0)
    messages.error(request, CANNOT_STOP)
    return HttpResponseRedirect(reverse("admin:django_rq_dashboard_changelist"))


def _tidies_when_working(cleanup: Callable[..., None]) -> Callable[..., None]:
    @wraps(cleanup)
    def tidied(*args: Any, **kwargs: Any) -> None:
        if not _looking.get():
            cleanup(*args, **kwargs)

    return tidied


# django-rq's views make the registries themselves: there is no other place to tell them that they are only looked at.
for _registry in (StartedJobRegistry, FinishedJobRegistry, FailedJobRegistry, DeferredJobRegistry):
    _registry.cleanup = _tidies_when_working(_registry.cleanup)  # type: ignore[method-assign]

admin.site.unregister(Dashboard)
admin.site.register(Dashboard, JobsAdmin)
