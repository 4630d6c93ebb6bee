"""For domain administrators: addresses that mail of their domain is not for any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from base.actions.action import NotAllowed, Refused, Target
from base.actions.perform import perform
from mailspool.portal.access import Member, domain_administrator, page
from spool.actions.suppression import SUPPRESS, UNSUPPRESS
from spool.console.suppressed_file import suppressed_file
from spool.models import Suppression

PER_PAGE: Final = 50
NEWEST: Final = "-since"
# What never expires comes last.
_NEVER: Final = Coalesce("expires", Value(datetime(9999, 1, 1, tzinfo=UTC)))
_SORTED_BY: Final = {"address": F("address"), "reason": F("reason"), "since": F("since"), "expires": _NEVER}
# What was removed last, for who wants it back.
_REMOVED: Final = "removed_from_suppressed"


@require_http_methods(["GET", "POST"])
@domain_administrator
def listed(request: HttpRequest, who: Member) -> HttpResponse:
    """The domain's list, by `sort` (a column, with - backwards). POST: add addresses, remove those that are chosen, or
    put back those that were removed last."""
    if request.method == "POST":
        _change(request, who)
        return HttpResponseRedirect(request.get_full_path())
    asked, sort = _asked(request), request.GET.get("sort", "")
    if sort.removeprefix("-") not in _SORTED_BY:
        sort = NEWEST
    rows = _sorted(_rows(who, asked), sort, request.GET.get("after", ""))
    found = list(rows[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    kept = {"q": asked, "sort": sort}
    context = {
        "rows": shown,
        "asked": asked,
        "sort": sort,
        "following": urlencode({**kept, "after": shown[-1].pk}) if len(found) > PER_PAGE else "",
        "columns": [_column(name, label, asked, sort) for name, label in _labels()],
        "here": reverse("portal:suppressed"),
        "removed": len(request.session.get(_REMOVED, [])),
        "export": f"{reverse('portal:suppressed_export')}?{urlencode({'q': asked})}",
    }
    return page(request, who, "portal/suppressed.html", _("Suppressed addresses"), context)


@require_GET
@domain_administrator
def export(request: HttpRequest, who: Member) -> StreamingHttpResponse:
    """What is listed, as CSV."""
    return suppressed_file(_rows(who, _asked(request)))


def _asked(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip()[:320]


def _rows(who: Member, asked: str) -> QuerySet[Suppression]:
    rows = Suppression.objects.filter(domain=who.domain.name)
    return rows.filter(address__icontains=asked) if asked else rows


def _sorted(rows: QuerySet[Suppression], sort: str, after: str) -> QuerySet[Suppression]:
    """In that order, from behind a row on; from the first one, when that is gone."""
    back, rows = sort.startswith("-"), rows.annotate(key=_SORTED_BY[sort.removeprefix("-")])
    ordered = rows.order_by("-key" if back else "key", "-pk" if back else "pk")
    if not (after.isascii() and after.isdecimal() and len(after) < 19):
        return ordered
    last = rows.filter(pk=int(after)).values_list("key", flat=True).first()
    if last is None:
        return ordered
    side = "lt" if back else "gt"
    return ordered.filter(Q(**{f"key__{side}": last}) | Q(**{"key": last, f"pk__{side}": int(after)}))


def _labels() -> list[tuple[str, str]]:
    return [("address", _("Address")), ("reason", _("Reason")), ("since", _("Since")), ("expires", _("Expires"))]


def _column(name: str, label: str, asked: str, sort: str) -> dict[str, Any]:
    """A heading: the link that sorts by it, or turns that round."""
    is_up, is_down = sort == name, sort == f"-{name}"
    link = urlencode({"q": asked, "sort": f"-{name}" if is_up else name})
    return {"label": label, "link": link, "aria": "ascending" if is_up else "descending" if is_down else ""}


def _change(request: HttpRequest, who: Member) -> None:
    domain, do = who.domain.name, request.POST.get("do", "")
    try:
        if do == "add":
            given = {"addresses": request.POST.get("addresses", ""), "evidence": request.POST.get("evidence", "")}
            done = perform(SUPPRESS, who.actor, Target.of("domain", domain), given)
            what = _("Addresses on the list now: %(number)s new.") % {"number": done.result}
        elif do == "undo":
            removed = request.session.pop(_REMOVED, [])
            if not removed:
                return
            done = perform(SUPPRESS, who.actor, Target.of("domain", domain), {"rows": removed})
            what = _("Addresses on the list now: %(number)s new.") % {"number": done.result}
        else:
            keys = [f"{domain}:{address}" for address in request.POST.getlist("address")[:PER_PAGE]]
            if not keys:
                return
            done = perform(UNSUPPRESS, who.actor, Target.of("suppressed", *keys))
            what = _("Removed: %(number)s. Mail to them is sent again.") % {"number": done.result}
            request.session[_REMOVED] = list(done.undo.given["rows"]) if done.undo is not None else []
    except (NotAllowed, Refused) as error:
        messages.error(request, str(error))
    else:
        if done.good:
            messages.success(request, what)
        else:
            left_out = _("Some were left out: they are no addresses, or postmaster or abuse.")
            messages.warning(request, f"{what} {left_out}")
