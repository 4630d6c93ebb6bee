"""The spool's entries in the console: the pages of spool.console, at the places where the admin site expects them."""

from __future__ import annotations

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from spool.admin.readonly import ReadOnlyAdmin
from spool.console.urls import urls
from spool.models import Entry


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    """Gives the model its place in the admin site; what is shown is spool.console's."""

    def get_urls(self) -> list[URLPattern]:
        return [
            *urls(),
            path("<int:pk>/change/", self.admin_site.admin_view(self.by_number), name="spool_entry_change"),
        ]

    def by_number(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page of an entry of which only the number is known."""
        name = Entry.objects.filter(pk=pk).values_list("file_name", flat=True).first()
        if name is None:
            raise Http404(_("Message no longer exists"))
        return HttpResponseRedirect(reverse("admin:spool_entry_message", args=[name]))
