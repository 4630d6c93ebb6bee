"""The page about one thing, and the part of it that refreshes itself."""

from __future__ import annotations

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.models import Containment, Status
from accounts.templatetags.reach import opens
from mailspool.incident.counted import SPANS, chart_of
from mailspool.incident.events import events
from mailspool.incident.evidence import evidence
from mailspool.incident.false_alarm import stopped
from mailspool.incident.similar import similar
from mailspool.incident.things import SAMPLE, WINDOW, Thing, page_of, thing_named
from mailspool.overview.rows import Mark, look_up, marks
from mailspool.overview.tables import BY_NAME
from spool import suppression
from spool.console.pages import is_htmx, page
from spool.delivery.shaping import domains
from spool.filters import count
from throttling.countries import country_of

# The tables of the Overview whose marks a thing has.
_MARKS_OF = {"sender": "inbound-senders", "ip": "inbound-ips", "domain": "inbound-domains"}


@require_GET
def incident(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """All that is known of a thing."""
    thing = thing_named(kind, key)
    if thing is None and kind == "user" and "@" in key:
        # An account that is gone, or an address that never had one.
        return redirect(page_of("sender", key))
    if thing is None:
        raise Http404(_("There is no such thing."))
    if thing.key != key:
        return redirect(thing.page)
    context = _context(request, thing)
    if is_htmx(request):
        return render(request, "mailspool/incident/_live.html", context)
    return page(request, "mailspool/incident/incident.html", f"{thing.label} {thing.key}", context)


def _context(request: HttpRequest, thing: Thing) -> dict[str, Any]:
    now, span = timezone.now(), request.GET.get("range", "")
    span = span if span in SPANS else "1h"
    found = evidence(thing)
    return {
        "now": now,
        "thing": thing,
        "span": span,
        "spans": [(name, words, f"{thing.page}?{urlencode({'range': name})}") for name, words in SPANS.items()],
        "chart": chart_of(thing, span, now),
        "here": [
            (_whither(thing, place), count(chosen), chosen.to_query()) for place, chosen in enumerate(thing.filters)
        ],
        "marks": _marks(thing),
        "destinations": list(domains.sites_of([thing.key]).values()) if thing.kind == "domain" else [],
        "country": country_of(thing.key) if thing.kind == "ip" else "",
        "suppressed": suppression.of_address(thing.key, now) if thing.kind == "sender" else [],
        "contained": _containment(thing),
        "stopped": stopped(thing),
        "vals": json.dumps({"key": thing.key}),
        "found": found,
        "events": events(thing, now, audited=opens(request, "admin:audit_auditevent_changelist")),
        "alike": similar(thing, found, now),
        "sample": SAMPLE,
        "window": WINDOW,
        "full_path": request.get_full_path(),
    }


def _whither(thing: Thing, place: int) -> str:
    """What the messages of a filter are."""
    if thing.kind != "domain":
        return _("In the spool now")
    return _("In the spool, from it") if place == 0 else _("In the spool, for it")


def _containment(thing: Thing) -> Containment | None:
    if thing.kind != "user":
        return None
    return Containment.objects.open().filter(user=thing.user).first()


def _marks(thing: Thing) -> list[Mark]:
    if thing.user is not None and thing.kind == "user":
        tone = "good" if thing.user.status == Status.ENABLED else "held"
        return [Mark(thing.user.get_status_display(), tone, _("The status of the account."))]
    subject = {thing.kind: {thing.key}}
    return marks(BY_NAME[_MARKS_OF[thing.kind]], thing.key, look_up(subject))
