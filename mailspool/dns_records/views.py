"""The pages about the DNS: all domains, and the records of one."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.models import Domain
from base.actions.action import Refused, Target
from base.actions.perform import perform
from mailspool.dns_records import publishing, shown
from mailspool.dns_records.actions import CHECK_RECORDS, PUBLISH_RECORDS
from mailspool.dns_records.names import HOST, HOST_KEY, named
from spool.actions.dkim import MAKE_KEY
from spool.console.pages import actor_of, page
from spool.models.dns import BAD, DomainRecord

PAGE_SIZE: Final = 50


@require_GET
def domains(request: HttpRequest) -> HttpResponse:
    """All domains by name, and the host before them. `q` is a part of a name, `bad` leaves out who is as it should be,
    `after` the last name of the page before."""
    search, only_bad, after = (_asked(request, name) for name in ("q", "bad", "after"))
    found = Domain.objects.filter(name__gt=after).order_by("name")
    if search:
        found = found.filter(name__contains=search)
    if only_bad:
        found = found.filter(name__in=DomainRecord.objects.filter(state__in=BAD).values("domain"))
    names = list(found.values_list("name", flat=True)[: PAGE_SIZE + 1])
    more, names = len(names) > PAGE_SIZE, names[:PAGE_SIZE]
    listed = names if search or after else [HOST, *names]
    chips = shown.chips(listed)
    query = {"q": search, "bad": only_bad}
    return page(
        request,
        "mailspool/dns_records/domains.html",
        _("DNS records"),
        {
            "rows": [(shown.title_of(name), _page_of(name), chips.get(name, [])) for name in listed],
            "search": search,
            "only_bad": only_bad,
            "next": f"?{urlencode({**query, 'after': names[-1]})}" if more else "",
            "first": f"?{urlencode(query)}" if after else "",
        },
    )


@require_GET
def domain(request: HttpRequest, key: str) -> HttpResponse:
    """The records of one; `?as=zone` and `?as=octodns` are what is to be put into the DNS, as text."""
    name = _domain_or_404(key)
    records = shown.records_of(name)
    form = request.GET.get("as", "")
    if form in ("zone", "octodns"):
        text = shown.zone_file(records) if form == "zone" else shown.octodns(name, records)
        return HttpResponse(text, content_type="text/plain; charset=utf-8")
    return page(
        request,
        "mailspool/dns_records/domain.html",
        (_("DNS of %(title_of)s") % {"title_of": shown.title_of(name)}) if name else shown.title_of(name),
        {
            "key": key,
            "domain": name,
            "records": records,
            "bad": sum(one.is_bad for one in records),
            "checked": max((one.checked for one in records if one.checked), default=None),
            "has_to_be_put": any(one.shows_wanted for one in records),
            "check_url": reverse("dns_check", args=[key]),
            "publish_url": reverse("thing_dialog", args=["dns", PUBLISH_RECORDS.name])
            if publishing.server_for(name)
            else "",
            "publishable": publishing.PURPOSES,
            "add_key_url": reverse("thing_dialog", args=["domain", MAKE_KEY.name]) if name else "",
        },
    )


@require_POST
def check(request: HttpRequest, key: str) -> HttpResponse:
    """Look for them now."""
    _domain_or_404(key)
    try:
        done = perform(CHECK_RECORDS, actor_of(request), Target.of("dns", key))
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        (messages.success if done.good else messages.warning)(request, done.sentence)
    return redirect("dns_domain", key)


def _asked(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").strip().lower()[:253]


def _domain_or_404(key: str) -> str:
    name = named(key)
    if name is None:
        raise Http404(_("There is no such domain."))
    return name


def _page_of(name: str) -> str:
    return reverse("dns_domain", args=[name or HOST_KEY])
