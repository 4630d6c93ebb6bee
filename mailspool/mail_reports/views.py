"""The list of our domains with what others report of them, and the page of one."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.models import Domain
from mailspool.dns_records.names import our_domain
from mailspool.mail_reports import shown, stored
from spool.console.pages import page

PAGE_SIZE: Final = 50
LIST_DAYS: Final = 7


@require_GET
def domains(request: HttpRequest) -> HttpResponse:
    """All domains by name, each with the sums of the last days. `q` is a part of a name, `after` the last one of the
    page before."""
    search, after = (request.GET.get(name, "").strip().lower()[:253] for name in ("q", "after"))
    found = Domain.objects.filter(name__gt=after).order_by("name")
    if search:
        found = found.filter(name__contains=search)
    names = list(found.values_list("name", flat=True)[: PAGE_SIZE + 1])
    more, names = len(names) > PAGE_SIZE, names[:PAGE_SIZE]
    sums = stored.sums(names, stored.since(LIST_DAYS, timezone.now()))
    return page(
        request,
        "mailspool/mail_reports/domains.html",
        _("Mail reports"),
        {
            "rows": [(name, sums.get(name, stored.NOTHING)) for name in names],
            "days": LIST_DAYS,
            "search": search,
            "next": f"?{urlencode({'q': search, 'after': names[-1]})}" if more else "",
            "first": f"?{urlencode({'q': search})}" if after else "",
        },
    )


@require_GET
def domain(request: HttpRequest, name: str) -> HttpResponse:
    """What others report of one."""
    ours = our_domain(name)
    if ours is None:
        raise Http404(_("There is no such domain."))
    context = shown.of_domain(request, ours, timezone.now())
    title = _("Reports on %(ours)s") % {"ours": ours}
    return page(request, "mailspool/mail_reports/domain.html", title, {**context, "domain": ours})
