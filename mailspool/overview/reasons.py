"""Why a row has no menu entries for an account: its address is none, and where its mail comes from instead."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.addresses import key_of
from mailspool.overview.rows import Known
from mailspool.overview.tables import Table
from spool.filters import SpoolFilter, page
from spool.models import Entry, Trace


@dataclass(frozen=True, slots=True)
class Target:
    """One row: its table, its key, and what is known of it."""

    table: Table
    key: str
    known: Known


def reasons_for(target: Target) -> list[str]:
    """Sentences for the menu; none when nothing is missing."""
    subject, key, known = target.table.subject, target.key, target.known
    if subject == "account" and not key:
        return ["Notifications of this server: they have no sender, and so no account."]
    if subject == "sender" and not key:
        return [
            "The null sender brings notifications of other servers; blocking it would keep bounces from your users."
        ]
    if subject == "account" and key_of(key) not in known.statuses:
        return [f"{key} is not an account of this server: there is nobody to manage or disable. {_came_by(target)}"]
    if subject == "recipient" and key_of(key) not in known.statuses:
        return [f"{key} is not an account but a list or an alias: there is nobody to manage."]
    return []


def _came_by(target: Target) -> str:
    """By which door this sender's newest message came."""
    newest: Entry | Trace | None = next(iter(page(SpoolFilter(sender=target.key), size=1).entries), None)
    if newest is None:
        ended = [Trace.objects.filter(one).order_by("-ended").first() for one in target.table.behind(target.key)]
        newest = max(filter(None, ended), key=lambda trace: trace.ended, default=None)
    if newest is None:
        return ""
    if newest.auth_user:
        return f"Its mail is sent by {newest.auth_user}, who logs in and writes this sender: look at that account."
    if not newest.client_ip:
        return "Its mail did not come by SMTP: it was dropped into the spool, or made here."
    return (
        f"Its mail comes from {newest.client_ip} without a login: that host may relay (Settings, whitelist), or this "
        "server is a gateway for it."
    )
