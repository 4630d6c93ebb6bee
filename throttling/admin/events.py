"""Throttle events: the pages of throttling.console, at the places where the admin site expects them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from spool.admin.readonly import ReadOnlyAdmin
from throttling.console import views
from throttling.models import ThrottleEvent


@admin.register(ThrottleEvent)
class ThrottleEventAdmin(ReadOnlyAdmin):
    """Gives the model its place; what is shown is throttling.console's."""

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "throttling_throttleevent_"
        return [
            path("", wrap(views.history), name=f"{name}changelist"),
            path("users/", wrap(views.users), name=f"{name}users"),
            path("domains/", wrap(views.domains), name=f"{name}domains"),
            path("<str:verb>/<int:pk>/", wrap(views.act), name=f"{name}act"),
        ]
