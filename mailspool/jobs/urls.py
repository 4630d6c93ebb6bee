"""The addresses of the page of jobs. All are for system administrators only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from mailspool.jobs import views


def urls() -> list[URLPattern]:
    """They come before the admin site's own."""
    guard = admin.site.admin_view
    return [
        path("admin/jobs/", guard(views.jobs), name="jobs"),
        path("admin/jobs/act/", guard(views.act), name="jobs_act"),
        path("admin/jobs/job/<str:job_id>/", guard(views.job), name="jobs_job"),
        # Where django-rq's pages were.
        path("admin/django_rq/", guard(views.moved)),
        path("admin/django_rq/<path:rest>", guard(views.moved)),
    ]
