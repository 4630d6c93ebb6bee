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
from rq.exceptions import NoSuchJobError
from rq.registry import DeferredJobRegistry, FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

CANNOT_STOP = (
    "A job can't be stopped from here. What an action on many messages still has to do is cancelled on its own page; a "
    "worker that is stopped finishes what is on the wire."
)
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
                url.callback = _shown(url.callback, stops=name == "django_rq_stop_job")
                urls.append(url)
        return urls


def _shown(view: Callable[..., HttpResponse], *, stops: bool) -> Callable[..., HttpResponse]:
    """Look only, and answer 404 for what is gone: jobs end, and workers stop, between a list and the click on it.

    Our workers do a job in their own process (spool.worker): nothing `stops` one, whatever RQ would say.
    """

    @wraps(view)
    def shown(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        token = _looking.set(request.method in ("GET", "HEAD"))
        try:
            if request.method == "POST" and (stops or request.POST.get("action") == "stop"):
                return _cannot_stop(request, view)
            return view(request, *args, **kwargs)
        except (NoSuchJobError, LookupError, ValueError) as error:
            raise Http404("There is no such job, worker or queue any more") from error
        finally:
            _looking.reset(token)

    return shown


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
