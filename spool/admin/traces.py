"""What became of mail that left the spool, and the bounces that came back for it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _lazy

from spool.admin.readonly import ReadOnlyAdmin
from spool.console.trace_views import export_trace, message_trace
from spool.models import ReceivedBounce, Trace


@admin.register(Trace)
class TraceAdmin(ReadOnlyAdmin):
    """Gives the message trace its place in the admin site."""

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("", guard(message_trace), name="spool_trace_changelist"),
            path("export/", guard(export_trace), name="spool_trace_export"),
        ]


@admin.register(ReceivedBounce)
class ReceivedBounceAdmin(ReadOnlyAdmin):
    list_display = ["received", "shown_user", "shown_recipient", "status", "diagnostic"]
    search_fields = ["=user", "=domain"]
    ordering = ["-received"]
    empty_title = _lazy("No bounces yet")
    empty_text = _lazy(
        "Bounces that come back for what users and lists sent appear here, with what the other server said."
    )

    @admin.display(description=_lazy("User"), ordering="user")
    def shown_user(self, bounce: ReceivedBounce) -> SafeString:
        return _link(reverse("incident", args=["user", bounce.user]), bounce.user)

    @admin.display(description=_lazy("Failed recipient"))
    def shown_recipient(self, bounce: ReceivedBounce) -> SafeString | str:
        if not bounce.failed_recipient:
            return "–"
        query = urlencode({"q": bounce.failed_recipient})
        return _link(f"{reverse('admin:spool_trace_changelist')}?{query}", bounce.failed_recipient)


def _link(address: str, words: str) -> SafeString:
    return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', address, words)
