"""Why a row has no menu entries for an account: its address is none, and where its mail comes from instead."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

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
        return [_("Notifications of this server: they have no sender, and so no account.")]
    if subject == "sender" and not key:
        return [
            _("The null sender brings notifications of other servers; blocking it would keep bounces from your users.")
        ]
    if subject == "account" and key_of(key) not in known.statuses:
        return [
            (
                _("%(key)s is not an account of this server: there is nobody to manage or disable. %(target)s")
                % {"key": key, "target": _came_by(target)}
            )
        ]
    if subject == "recipient" and key_of(key) not in known.statuses:
        return [(_("%(key)s is not an account but a list or an alias: there is nobody to manage.") % {"key": key})]
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
        return _("Its mail is sent by %(auth_user)s, who logs in and writes this sender: look at that account.") % {
            "auth_user": newest.auth_user
        }
    if not newest.client_ip:
        return _("Its mail did not come by SMTP: it was dropped into the spool, or made here.")
    return _(
        "Its mail comes from %(client_ip)s without a login: that host may relay (Settings, "
        "whitelist), or this server is a gateway for it."
    ) % {"client_ip": newest.client_ip}
