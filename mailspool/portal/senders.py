"""For domain administrators: what their users have sent and is still in the spool, searched by sender."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from mailspool.portal.access import Member, domain_administrator, page
from spool.filters import BadFilter, SpoolFilter, count
from spool.filters import page as entries_page
from spool.models import Status

FIELDS = ("sender", "auth-user", "status", "older", "younger")
_ADDRESSES = ("sender", "auth-user")


@require_GET
@domain_administrator
def search(request: HttpRequest, who: Member) -> HttpResponse:
    """The spool, limited to messages from the domain."""
    asked = {name: request.GET.get(name, "").strip()[:320] for name in FIELDS}
    for name in _ADDRESSES:
        if asked[name] and not set("@*") & set(asked[name]):
            # A name without its domain can only mean this one.
            asked[name] = f"{asked[name]}@{who.domain.name}"
    error, nothing = "", who.actor.view(SpoolFilter())
    try:
        chosen = who.actor.view(SpoolFilter.parse(asked))
        found = entries_page(chosen, after=request.GET.get("after", ""))
    except BadFilter as problem:
        error, chosen = str(problem), nothing
        found = entries_page(chosen)
    kept = {name: value for name, value in asked.items() if value}
    return page(
        request,
        who,
        "portal/senders.html",
        _("Search by sender"),
        {
            "entries": [] if error else found.entries,
            "error": error,
            "asked": kept,
            "user": asked["auth-user"],
            "statuses": Status.choices,
            "count": count(chosen),
            "here": reverse("portal:senders"),
            "note": found.note,
            "following": urlencode({**kept, "after": found.next}) if found.next else "",
        },
    )
