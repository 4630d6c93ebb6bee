"""My quarantine, and for domain administrators that of their domain: a list, one message, and what is done to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods

from base.texts import Text
from mailspool.portal.access import Member, domain_administrator, member, page
from quarantine.actions import by_owner
from quarantine.filters import ItemFilter
from quarantine.filters import page as items_page
from quarantine.models.item import Item, ItemKind, ItemState
from spool.actions import NotAllowed, Refused
from spool.console import message as parts
from spool.ownership import Ownership

MOST_ASKED: Final = 50


@dataclass(frozen=True, slots=True)
class View:
    """One of the lists: which quarantine, and whether sent by these or for them."""

    name: str
    title: Text
    kind: ItemKind
    side: str


VIEWS: Final = {
    view.name: view
    for view in (
        View("spam", _lazy("Spam, sent"), ItemKind.SPAM, "sender"),
        View("spam-in", _lazy("Spam, received"), ItemKind.SPAM, "recipient"),
        View("virus", _lazy("Viruses, sent"), ItemKind.VIRUS, "sender"),
        View("virus-in", _lazy("Viruses, received"), ItemKind.VIRUS, "recipient"),
    )
}


@require_GET
@member
def own_list(request: HttpRequest, who: Member) -> HttpResponse:
    """What of somebody's own mail was quarantined."""
    return _list(request, who, Ownership.of_person(who.user), _("My quarantine"), "portal:quarantine")


@require_GET
@domain_administrator
def domain_list(request: HttpRequest, who: Member) -> HttpResponse:
    """What of the domain's mail was quarantined; first what somebody asks for."""
    return _list(request, who, Ownership.of_domain(who.user), _("Quarantine"), "portal:domain_quarantine")


def _list(request: HttpRequest, who: Member, owner: Ownership, title: str, url_name: str) -> HttpResponse:
    view = VIEWS.get(request.GET.get("view", ""), VIEWS["spam"])
    address = f"*@{owner.domain}" if owner.domain else owner.login
    chosen = ItemFilter.parse({view.side: address}, kind=view.kind.value)
    found = items_page(chosen, after=request.GET.get("after", "")[:200])
    # A sender can be forged: whose a message is, is said by the login that handed it in.
    items = [item for item in found.entries if view.side == "recipient" or by_owner.has_sent(owner, item)]
    context = {
        "items": items,
        "of_domain": bool(owner.domain),
        "asked": _asked(owner) if owner.domain else [],
        "views": VIEWS.values(),
        "view": view,
        "here": reverse(url_name),
        "link": f"{url_name}_item",
        "note": found.note,
        "following": urlencode({"view": view.name, "after": found.next}) if found.next else "",
    }
    return page(request, who, "portal/quarantine.html", title, context)


def _asked(owner: Ownership) -> list[Item]:
    """What people of the domain ask for, the latest first."""
    here = f"@{owner.domain}"
    asked = Item.objects.filter(asked_at__isnull=False, state=ItemState.HELD, asked_by__endswith=here)
    rows = asked.defer("entry", "recipients", "findings").order_by("-asked_at")[:MOST_ASKED]
    return [item for item in rows if by_owner.sees(owner, item)]


@require_http_methods(["GET", "POST"])
@member
def own_item(request: HttpRequest, who: Member, file_name: str) -> HttpResponse:
    """One message, and releasing it or asking for that."""
    return _item(request, who, Ownership.of_person(who.user), file_name, "portal:quarantine")


@require_http_methods(["GET", "POST"])
@domain_administrator
def domain_item(request: HttpRequest, who: Member, file_name: str) -> HttpResponse:
    """One message of the domain's, releasing and deleting it."""
    return _item(request, who, Ownership.of_domain(who.user), file_name, "portal:domain_quarantine")


def _item(request: HttpRequest, who: Member, owner: Ownership, file_name: str, back: str) -> HttpResponse:
    item = Item.objects.filter(file_name=file_name, state=ItemState.HELD).first()
    if item is None or not by_owner.sees(owner, item):
        raise Http404(_("There is no such message."))
    if request.method == "POST":
        return _do(request, who, item, back)
    structure = parts.structure_or_none(item.source)
    has_sent = by_owner.has_sent(owner, item)
    may_handle = by_owner.may_handle(who.user, item)
    must_ask = by_owner.must_ask(who.user, item)
    context: dict[str, Any] = {
        "item": item,
        "recipients": [address for address in item.addresses.splitlines() if has_sent or owner.gets(address)][:50],
        "headers": parts.headers_of(structure) if structure else [],
        "may_release": may_handle and structure is not None and not must_ask,
        "may_ask": may_handle and must_ask and item.asked_at is None,
        "may_list": not owner.domain and by_owner.may_list(who.user, item),
        "may_delete": may_handle and bool(owner.domain),
        "back": reverse(back),
    }
    return page(request, who, "portal/quarantined.html", item.subject or _("(no subject)"), context)


_ACTS: Final = {
    "release": by_owner.release,
    "release-allow": by_owner.release_and_allow,
    "ask": by_owner.ask,
    "block": by_owner.block,
    "delete": by_owner.delete,
}


def _do(request: HttpRequest, who: Member, item: Item, back: str) -> HttpResponse:
    act = _ACTS.get(request.POST.get("do", ""))
    if act is None:
        raise Http404(_("There is no such action."))
    try:
        messages.success(request, act(who.actor, who.user, item))
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except Refused as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(reverse(back))
