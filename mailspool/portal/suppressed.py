"""For domain administrators: addresses that mail of their domain is not for any more."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from base.actions.action import NotAllowed, Refused, Target
from base.actions.perform import perform
from mailspool.portal.access import Member, domain_administrator, page
from spool.actions.suppression import SUPPRESS, UNSUPPRESS
from spool.models import Suppression

PER_PAGE: Final = 50


@require_http_methods(["GET", "POST"])
@domain_administrator
def listed(request: HttpRequest, who: Member) -> HttpResponse:
    """The domain's list, the newest first. POST: add addresses, or remove those that are chosen."""
    if request.method == "POST":
        _change(request, who)
        return HttpResponseRedirect(request.get_full_path())
    asked = request.GET.get("q", "").strip()[:320]
    rows = Suppression.objects.filter(domain=who.domain.name).order_by("-id")
    if asked:
        rows = rows.filter(address__icontains=asked)
    after = request.GET.get("after", "")
    if after.isascii() and after.isdecimal() and len(after) < 19:
        rows = rows.filter(pk__lt=int(after))
    found = list(rows[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    following = urlencode({"q": asked, "after": shown[-1].pk}) if len(found) > PER_PAGE else ""
    context = {"rows": shown, "asked": asked, "following": following, "here": reverse("portal:suppressed")}
    return page(request, who, "portal/suppressed.html", _("Suppressed addresses"), context)


def _change(request: HttpRequest, who: Member) -> None:
    domain = who.domain.name
    try:
        if request.POST.get("do") == "add":
            given = {"addresses": request.POST.get("addresses", ""), "evidence": request.POST.get("evidence", "")}
            done = perform(SUPPRESS, who.actor, Target.of("domain", domain), given)
            what = _("Addresses on the list now: %(number)s new.") % {"number": done.result}
        else:
            keys = [f"{domain}:{address}" for address in request.POST.getlist("address")[:PER_PAGE]]
            if not keys:
                return
            done = perform(UNSUPPRESS, who.actor, Target.of("suppressed", *keys))
            what = _("Removed: %(number)s. Mail to them is sent again.") % {"number": done.result}
    except (NotAllowed, Refused) as error:
        messages.error(request, str(error))
    else:
        if done.good:
            messages.success(request, what)
        else:
            left_out = _("Some were left out: they are no addresses, or postmaster or abuse.")
            messages.warning(request, f"{what} {left_out}")
