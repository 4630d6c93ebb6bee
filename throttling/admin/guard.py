"""The anomaly guard in the console: policies of domains, and what it has found, with an undo."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.searching import ModelAdmin
from spool.admin.readonly import ReadOnlyAdmin
from throttling.console import guard_views
from throttling.models import GuardEvent, GuardPolicy


@admin.register(GuardPolicy)
class GuardPolicyAdmin(ModelAdmin):
    list_display = ["guarded", "enabled", "dry_run", "action", "factor", "least_messages"]
    list_select_related = ["domain"]
    list_filter = ["enabled", "dry_run"]
    search_fields = ["domain__name"]
    autocomplete_fields = ["domain", "exempt"]
    fieldsets = [
        (None, {"fields": ["domain", "enabled", "dry_run", "action", "exempt"]}),
        (
            _lazy("What is too much"),
            {
                "fields": [
                    "least_messages",
                    "factor",
                    "new_user_messages",
                    "new_recipients",
                    "bounces",
                    "new_networks",
                    "new_countries",
                ],
                "description": _lazy("The last hour of each user is compared with the user's own 30 days before."),
            },
        ),
    ]
    empty_title = _lazy("No domain is guarded")
    empty_text = _lazy(
        "A policy has the guard look for users who suddenly send far more than they ever did. It begins with a dry "
        "run. One without a domain is for all domains that have none of their own."
    )

    @admin.display(description=_lazy("Domain"), ordering="domain__name")
    def guarded(self, policy: GuardPolicy) -> str:
        return str(policy.domain or _("All domains"))


@admin.register(GuardEvent)
class GuardEventAdmin(ReadOnlyAdmin):
    """Gives the model its place; what is shown is throttling.console's."""

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "throttling_guardevent_"
        return [
            path("", wrap(guard_views.caught), name=f"{name}changelist"),
            path("<int:pk>/undo/", wrap(guard_views.undo), name=f"{name}undo"),
        ]
