"""The list of destinations, and the page of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from base.actions.registry import actions_for
from mailspool.destinations import one, words
from mailspool.destinations.counted import LATELY_MINUTES, Counted, snapshot
from mailspool.destinations.lines import DEFAULT_SORT, FILTERS, PAGE, SORTS, headings_of, line_of, lines_of, sorted_by
from spool.actions import destinations as actions
from spool.console.pages import actor_of, is_htmx, page
from spool.console.tabs import tabs_for
from spool.delivery.shaping import destinations as shaping
from spool.delivery.shaping import domains, encryption, rules
from spool.delivery.shaping.choices import choices_for
from spool.delivery.shaping.limits import Key
from spool.models.settings import current

LONGEST = 320
# Of the destinations with a limit so many are listed; others where mail waits for them, or when they are searched.
MOST_LIMITED = 1_000
BULK = (actions.SLOW, actions.SUSPEND, actions.RESUME, actions.RETRY, actions.FORGET)


@require_GET
def destinations(request: HttpRequest) -> HttpResponse:
    """All that have trouble, mail that waits, or much mail; others are found by the search."""
    asked = _asked(request)
    sites, more = shaping.some_sites(MOST_LIMITED)
    known = [Key(site.name, site.source) for site in sites]
    counted = snapshot(known)
    found = _meant(asked["q"]) if asked["q"] else []
    if more:
        sites += shaping.sites_for({*counted.sites, *found}.difference(known))
    lines = lines_of(sites, counted, found)
    others = {str(key) for key in found}
    if text := asked["q"].lower():
        lines = [line for line in lines if line.has(text) or line.key in others]
    here = reverse("destinations")
    numbers = {name: sum(map(is_one, lines)) for name, (_, is_one) in FILTERS.items()}
    chosen = sorted_by([line for line in lines if FILTERS[asked["show"]][1](line)], asked["sort"])
    start = (asked["page"] - 1) * PAGE
    kept = {name: asked[name] for name in ("q", "show") if asked[name]}
    in_order = {**kept, **({"sort": asked["sort"]} if asked["sort"] != DEFAULT_SORT else {})}
    context: dict[str, Any] = {
        "now": timezone.now(),
        "here": here,
        "full_path": request.get_full_path(),
        "title": gettext("Destinations"),
        "lines": chosen[start : start + PAGE],
        "number": len(chosen),
        "headings": headings_of(asked["sort"], kept),
        "filters": [
            (words_of, numbers[name], urlencode({**in_order, "show": name}), name == asked["show"])
            for name, (words_of, _) in FILTERS.items()
            if not name or numbers[name] or name == asked["show"]
        ],
        "q": asked["q"],
        "kept": in_order,
        "previous": urlencode({**in_order, "page": asked["page"] - 1}) if asked["page"] > 1 else "",
        "following": urlencode({**in_order, "page": asked["page"] + 1}) if len(chosen) > start + PAGE else "",
        "counted": counted,
        "more": more,
        "most_limited": MOST_LIMITED,
        "lately": LATELY_MINUTES,
        "is_active": current().adapt_pace,
        "actions": BULK,
        "url_name": "destinations",
    }
    if is_htmx(request):
        return render(request, "mailspool/destinations/_refresh.html", {**context, "tabs": tabs_for(request)})
    return page(request, "mailspool/destinations/destinations.html", gettext("Destinations"), context)


def _meant(text: str) -> list[Key]:
    """What a search means that nothing waits for, and that may not be among the limited ones that are listed."""
    limited, _ = shaping.some_sites(PAGE, text)
    return list(dict.fromkeys([*(Key(site.name, site.source) for site in limited), *domains.meant_by(text)]))


def _asked(request: HttpRequest) -> dict[str, Any]:
    sort, show, number = (request.GET.get(name, "") for name in ("sort", "show", "page"))
    return {
        "q": " ".join(request.GET.get("q", "").split())[:LONGEST],
        "sort": sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
        "show": show if show in FILTERS else "",
        "page": int(number) if number.isascii() and number.isdigit() and 0 < len(number) < 6 else 1,
    }


@require_GET
def destination(request: HttpRequest) -> HttpResponse:
    """One of them."""
    name = request.GET.get("key", "")[:LONGEST].strip()
    key = shaping.key_named(name)
    now, settings = timezone.now(), current()
    row = shaping.row_of(key) if key.site else None
    chosen = rules.cached().of_site(key.site)
    site = shaping.ruled(key)
    if row is not None:
        site = shaping.site_of(row, now, is_active=settings.adapt_pace, chosen=chosen)
    names = domains.domains_of(key) if key.site else []
    all_counted = snapshot([Key(other.name, other.source) for other in shaping.some_sites(MOST_LIMITED)[0]])
    counted = all_counted.sites.get(key)
    if row is None and not names and counted is None:
        raise Http404(gettext("Nothing is known of such a destination."))
    waits, total = one.waiting_of(counted or Counted(), names, is_whole=not all_counted.partial)
    line = line_of(key, site, total)
    span = request.GET.get("range", "")
    span = span if span in one.SPANS else "1h"
    context: dict[str, Any] = {
        "now": now,
        "line": line,
        "site": site,
        "names": names,
        "most_names": domains.MOST_DOMAINS,
        "limits": [(limit, words.amount(limit), words.reason(limit, site)) for limit in site.limits] if site else [],
        "evidence": _evidence(site) if site is not None else [],
        "connections": _connections(site, settings.max_per_destination),
        "waits": waits[: one.MOST_GROUPS],
        "more_waits": max(0, len(waits) - one.MOST_GROUPS),
        "chart": one.chart_of(names or (counted.domains if counted else []), span, now),
        "span": span,
        "spans": [
            (name_of, words_of, urlencode({"key": line.key, "range": name_of}))
            for name_of, words_of in one.SPANS.items()
        ],
        "answers": one.answers_of(key, total.domains),
        "newest": one.NEWEST_ATTEMPTS,
        "encrypted": [(words.PROOFS[found.proof], found) for found in encryption.encryption_of([key]).get(key, [])],
        "history": one.history_of(line.key),
        "choices": choices_for(names[0] if len(names) == 1 else "", key.site),
        "of_domains": one.rules_for(names),
        "per_destination": settings.max_per_destination,
        "is_active": settings.adapt_pace,
        "offers": actions_for("destination", line.key, actor_of(request)),
        "vals": json.dumps({"key": line.key}),
        "waiting": reverse("admin:spool_entry_waiting"),
        "full_path": request.get_full_path(),
    }
    if is_htmx(request):
        return render(request, "mailspool/destinations/_live.html", context)
    return page(
        request,
        "mailspool/destinations/destination.html",
        (gettext("Destination %(line)s") % {"line": line.name}),
        context,
    )


def _evidence(site: shaping.Site) -> list[tuple[Mapping[str, Any], str, datetime | None]]:
    """The refusals, newest first, each with what it was about in words, and when it came."""
    return [
        (one, str(words.REASONS.get(one.get("about", ""), "")), parse_datetime(str(one.get("at", ""))))
        for one in reversed(site.evidence)
    ]


def _connections(site: shaping.Site | None, most: int) -> str:
    limits = [limit for limit in site.limits if limit.what is shaping.What.CONNECTIONS and limit.holds] if site else []
    return f"{min([most, *(round(float(limit.value)) for limit in limits)]):,}"  # type: ignore[arg-type]
