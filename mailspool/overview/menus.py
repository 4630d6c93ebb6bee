"""The menu of a row, its dialogs, and doing what they ask for."""

from __future__ import annotations

import ipaddress
import json

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from mailspool.overview.account_deeds import ChangePassword, DropConnections, SetStatus, links
from mailspool.overview.deeds import Deed, Item, Target
from mailspool.overview.reasons import reasons_for
from mailspool.overview.rows import ADDRESSES, look_up
from mailspool.overview.security_deeds import BlacklistIP, BlockInboundSMTP, BlockOutboundSMTP
from mailspool.overview.tables import BY_NAME
from spool.actions import NotAllowed, Refused
from spool.console.list_views import ALL
from spool.console.pages import actor_of

# In the order of the menu. Deleting and moving messages are the spool's own dialogs.
DEEDS: dict[str, Deed] = {
    deed.name: deed
    for deed in (
        ChangePassword(),
        DropConnections(),
        SetStatus(),
        BlacklistIP(),
        BlockInboundSMTP(),
        BlockOutboundSMTP(),
    )
}


@require_GET
def menu(request: HttpRequest, table: str) -> HttpResponse:
    """What can be done about one row, as things are now."""
    target = _target(table, request.GET.get("key", ""))
    items = links(target)
    items += [
        Item(
            deed.label(target),
            deed.icon,
            _dialog_url(target, name),
            json.dumps({"key": target.key}),
            danger=deed.question(target).danger,
        )
        for name, deed in DEEDS.items()
        if deed.offered(target)
    ]
    query = json.dumps({"all": "1", "query": target.table.spool_query(target.key), "page": ALL})
    for name, label, icon in (("delete", "Delete Messages", "delete"), ("move", "Move Messages", "drive_file_move")):
        url = reverse("admin:spool_entry_dialog", args=[name])
        items.append(Item(label, icon, url, query, danger=name == "delete"))
    return render(
        request,
        "mailspool/overview/_menu.html",
        {"key": target.key, "items": items, "reasons": reasons_for(target)},
    )


@require_POST
def dialog(request: HttpRequest, table: str, action: str) -> HttpResponse:
    """What an action will do, to be agreed to."""
    return _dialog(request, _target(table, request.POST.get("key", "")), _deed(action))


def _dialog(request: HttpRequest, target: Target, deed: Deed, error: str = "") -> HttpResponse:
    if not deed.offered(target):
        raise Http404("This row does not have that action.")
    question = deed.question(target)
    return render(
        request,
        "mailspool/overview/_dialog.html",
        {"table": target.table, "key": target.key, "action": deed, "question": question, "error": error},
    )


@require_POST
def perform(request: HttpRequest, table: str, action: str) -> HttpResponse:
    """Do it. What can't be done as asked comes back as the dialog, with the reason."""
    target, deed = _target(table, request.POST.get("key", "")), _deed(action)
    if not deed.offered(target):
        raise Http404("This row does not have that action.")
    try:
        done = deed.do(actor_of(request), target, request.POST.dict())
    except (Refused, NotAllowed) as error:
        return _dialog(request, target, deed, str(error))
    answer = render(request, "mailspool/overview/_done.html", {"sentence": done.sentence, "good": done.good})
    answer["HX-Trigger"] = "ms-done"
    return answer


def _target(name: str, key: str) -> Target:
    table = BY_NAME.get(name)
    if table is None or len(key) > 320 or (table.subject == "ip" and not _is_ip(key)):
        raise Http404("There is no such row.")
    subject = "account" if table.subject in ADDRESSES else table.subject
    return Target(table, key, look_up({subject: {key} if key else set(), table.subject: {key} if key else set()}))


def _is_ip(key: str) -> bool:
    try:
        ipaddress.ip_address(key)
    except ValueError:
        return False
    return True


def _deed(name: str) -> Deed:
    try:
        return DEEDS[name]
    except KeyError as error:
        raise Http404("There is no such action.") from error


def _dialog_url(target: Target, name: str) -> str:
    return reverse("overview_dialog", args=[target.table.name, name])
