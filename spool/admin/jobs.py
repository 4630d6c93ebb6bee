"""The pages of the queues, by django-rq, without those of Django's that would look for a table of queues."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from rq.exceptions import NoSuchJobError


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
                url.callback = _or_not_found(url.callback)
                urls.append(url)
        return urls


def _or_not_found(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer 404 for what is gone: jobs end, and workers stop, between a list and the click on it."""

    @wraps(view)
    def shown(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (NoSuchJobError, LookupError, ValueError) as error:
            raise Http404("There is no such job, worker or queue any more") from error

    return shown


admin.site.unregister(Dashboard)
admin.site.register(Dashboard, JobsAdmin)
