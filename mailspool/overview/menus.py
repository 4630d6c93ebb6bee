"""The menu of a row: that of the account, address or domain that it is about, and its messages."""

from __future__ import annotations

import ipaddress

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from mailspool.menus.items import items_for_messages, items_of
from mailspool.overview.reasons import Target, reasons_for
from mailspool.overview.rows import ADDRESSES, look_up
from mailspool.overview.tables import BY_NAME
from spool.console.pages import actor_of

# What a table's keys are, as actions name it.
_KINDS = {"account": "user", "recipient": "user", "sender": "sender", "ip": "ip", "domain": "domain"}


@require_GET
def menu(request: HttpRequest, table: str) -> HttpResponse:
    """What can be done about one row, as things are now."""
    target = _target(table, request.GET.get("key", ""))
    subject, key = target.table.subject, target.key
    items = items_of(_KINDS[subject], key, actor_of(request)) if key else []
    items += items_for_messages(target.table.spool_query(key))
    context = {"key": key, "items": items, "reasons": reasons_for(target)}
    return render(request, "mailspool/menus/_menu.html", context)


def _target(name: str, key: str) -> Target:
    table = BY_NAME.get(name)
    if table is None or len(key) > 320 or (table.subject == "ip" and not _is_ip(key)):
        raise Http404(_("There is no such row."))
    subject = "account" if table.subject in ADDRESSES else table.subject
    return Target(table, key, look_up({subject: {key} if key else set(), table.subject: {key} if key else set()}))


def _is_ip(key: str) -> bool:
    try:
        ipaddress.ip_address(key)
    except ValueError:
        return False
    return True
