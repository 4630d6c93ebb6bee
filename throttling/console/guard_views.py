"""What the anomaly guard has found, and taking it back."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from base.numbers import grouped
from spool.actions import NotAllowed
from spool.console.pages import actor_of, page
from throttling import guard
from throttling.models import GuardEvent, GuardPolicy

PAGE = 50


@require_GET
def caught(request: HttpRequest) -> HttpResponse:
    """The latest first."""
    found = GuardEvent.objects.order_by("-pk")
    after = request.GET.get("after", "")
    if after.isascii() and after.isdigit() and len(after) < 19:
        found = found.filter(pk__lt=int(after))
    rows = list(found[: PAGE + 1])
    return page(
        request,
        "throttling/console/guard.html",
        _("Anomaly guard"),
        {
            "events": rows[:PAGE],
            "here": reverse("admin:throttling_guardevent_changelist"),
            "following": urlencode({"after": rows[PAGE - 1].pk}) if len(rows) > PAGE else "",
            "guarded": _guarded(),
            "now": timezone.now(),
        },
    )


def _guarded() -> str:
    """Who is guarded, in words; empty when nobody is."""
    policies = list(GuardPolicy.objects.all())
    own = sum(policy.enabled for policy in policies if policy.domain_id is not None)
    if any(policy.enabled for policy in policies if policy.domain_id is None):
        off = sum(not policy.enabled for policy in policies if policy.domain_id is not None)
        if off:
            said = ngettext("All domains guarded but %(number)s", "All domains guarded but %(number)s", off)
            return said % {"number": grouped(off)}
        return _("All domains guarded")
    return ngettext("%(own)s domain guarded", "%(own)s domains guarded", own) % {"own": grouped(own)} if own else ""


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Give back what the guard took."""
    event = get_object_or_404(GuardEvent, pk=pk)
    try:
        sentence, good = guard.undo(actor_of(request), event), True
    except NotAllowed as error:
        sentence, good = str(error), False
    return render(request, "throttling/console/_done.html", {"sentence": sentence, "good": good})
