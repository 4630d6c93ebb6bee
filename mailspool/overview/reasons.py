"""Why a row has no menu entries for an account: its address is none, and where its mail comes from instead."""

from __future__ import annotations

from mailspool.overview.deeds import Target
from spool.models import Entry, Trace


def reasons_for(target: Target) -> list[str]:
    """Sentences for the menu; none when nothing is missing."""
    subject, key, known = target.table.subject, target.key, target.known
    if subject == "account" and not key:
        return ["Notifications of this server: they have no sender, and so no account."]
    if subject == "sender" and not key:
        return [
            "The null sender brings notifications of other servers; blocking it would keep bounces from your users."
        ]
    if subject == "account" and key.lower() not in known.statuses:
        return [f"{key} is not an account of this server: there is nobody to manage or disable. {_came_by(target)}"]
    if subject == "recipient" and key.lower() not in known.statuses:
        return [f"{key} is not an account but a list or an alias: there is nobody to manage."]
    return []


def _came_by(target: Target) -> str:
    """By which door this sender's newest message came."""
    entry = Entry.objects.filter(sender_domain=target.key.rpartition("@")[2].lower(), sender=target.key)
    newest: Entry | Trace | None = entry.order_by("-id").first()
    if newest is None:
        newest = Trace.objects.filter(sender=target.key).order_by("-ended").first()
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
