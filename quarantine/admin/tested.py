"""What the pages Antivirus and Antispam share: health, statistics, and the box in which a message is tried out."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST

from accounts.admin.onerow import OneRowAdmin
from base.numbers import grouped
from quarantine.actions.scan_again import scan_again
from quarantine.models.item import ItemKind
from quarantine.statistics import caught_by_day, health_of
from quarantine.trial import LARGEST_BYTES, Envelope, try_content
from spool.console.pages import actor_of


class TestedAdmin(OneRowAdmin):
    """A page of settings with its engines' health below, and a test box."""

    change_form_outer_before_template = "quarantine/_health.html"
    change_form_outer_after_template = "quarantine/_try.html"
    looks_for = "virus"

    def engines(self) -> list[str]:
        """The names under which they are counted."""
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """What its own templates need besides."""
        return {}

    def get_urls(self) -> list[URLPattern]:
        view = require_POST(self.try_out)
        name = f"quarantine_{self.model._meta.model_name}_try"
        again = self.admin_site.admin_view(require_POST(self.scan_again))
        return [
            path("try/", self.admin_site.admin_view(view), name=name),
            path("scan-again/", again, name=f"quarantine_{self.model._meta.model_name}_scan_again"),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        names = self.engines()
        context = {
            "health": health_of(names),
            "days": caught_by_day(names),
            "looks_for": self.looks_for,
            "again_link": reverse(f"admin:quarantine_{self.model._meta.model_name}_scan_again"),
            "try_link": reverse(f"admin:quarantine_{self.model._meta.model_name}_try"),
            **self.about(),
            **(extra_context or {}),
        }
        answer: HttpResponse = super().changeform_view(request, object_id, form_url, context)
        return answer

    def scan_again(self, request: HttpRequest) -> HttpResponseRedirect:
        """Have mail that waits looked at again when it is tried next."""
        number = scan_again(ItemKind(self.looks_for), actor_of(request))
        said = ngettext(
            "%(number)s waiting message is checked again when tried next.",
            "%(number)s waiting messages are checked again when tried next.",
            number,
        )
        messages.success(request, said % {"number": grouped(number)})
        return redirect(f"admin:quarantine_{self.model._meta.model_name}_changelist")

    def try_out(self, request: HttpRequest) -> HttpResponse:
        """What each engine says of the message that was pasted or uploaded. Nothing is kept."""
        upload = request.FILES.get("file")
        if upload is not None and (upload.size or 0) > LARGEST_BYTES:
            return render(
                request,
                "quarantine/_tried.html",
                {"error": gettext("The file is larger than %(number)s MB.") % {"number": LARGEST_BYTES >> 20}},
            )
        content = upload.read() if upload is not None else request.POST.get("message", "").encode()
        content = b"\r\n".join(content.replace(b"\r\n", b"\n").split(b"\n"))
        if not content.strip():
            return render(request, "quarantine/_tried.html", {"error": gettext("Paste a message, or choose a file.")})
        envelope = Envelope(
            request.POST.get("sender", "")[:320],
            request.POST.get("recipient", "")[:320],
            request.POST.get("ip", "")[:45],
            request.POST.get("ehlo", "")[:255],
            request.POST.get("outbound") == "1",
        )
        virus = self.looks_for == "virus"
        trial = try_content(content, envelope, virus=virus, spam=not virus)
        return render(request, "quarantine/_tried.html", {"trial": trial, "looks_for": self.looks_for})
