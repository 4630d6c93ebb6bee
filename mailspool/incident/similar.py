"""Other accounts that look alike: the same IP addresses, the same subjects, the same greeting or mail program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Model, Q
from django.utils.translation import gettext as _

from accounts.models import Login
from mailspool.incident.evidence import Evidence
from mailspool.incident.things import WINDOW, Thing, page_of
from spool.models import Entry, Trace

SHOWN: Final = 10
# Values that are compared, of each kind.
_COMPARED: Final = 5
# Rows that meet one of the conditions, of each table.
_MATCHES: Final = 500
_LOGINS_BACK: Final = timedelta(days=2)
# What most programs say: it makes nobody alike.
_COMMON: Final = ("", "localhost", "[127.0.0.1]", "localhost.localdomain")


@dataclass(frozen=True, slots=True)
class Alike:
    """One of them, with what it shares: sentences. The more it shares, the further up it is."""

    kind: str
    key: str
    shares: list[str]

    @property
    def page(self) -> str:
        return page_of(self.kind, self.key)


def similar(thing: Thing, found: Evidence, now: datetime) -> list[Alike]:
    """Those among the newest WINDOW messages of the spool and of the trace, and among the logins. Five queries."""
    wanted = {
        "client_ip": found.ips[:_COMPARED],
        "subject": found.subjects[:_COMPARED],
        "ehlo_name": [one for one in found.greetings if one.lower() not in _COMMON][:_COMPARED],
    }
    shared: defaultdict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for table in (Entry, Trace):
        _compare(table, thing, wanted, shared)
    _logged_in(thing, wanted["client_ip"], now, shared)
    ranked = sorted(shared.items(), key=lambda one: (-len(one[1]), -sum(map(len, one[1].values())), one[0]))
    return [Alike(kind, key, _said(parts)) for (kind, key), parts in ranked[:SHOWN]]


def _compare(table: type[Model], thing: Thing, wanted: Mapping[str, Sequence[str]], shared: Any) -> None:
    conditions = Q()
    for column, values in wanted.items():
        if values:
            conditions |= Q((f"{column}__in", values))
    if not conditions:
        return
    rows = table._default_manager.order_by("-id")
    newest = rows.values_list("id", flat=True).first() or 0
    alike = rows.filter(conditions, id__gt=newest - WINDOW)
    if thing.kind in ("user", "sender"):
        alike = alike.exclude(auth_user=thing.key).exclude(sender=thing.key)
    elif thing.kind == "ip":
        alike = alike.exclude(client_ip=thing.key)
    columns = ("auth_user", "sender", *wanted)
    for login, sender, *values in alike.order_by("-id").values_list(*columns)[:_MATCHES]:
        who = ("user", login) if login else ("sender", sender)
        if not who[1] or (thing.kind == "domain" and who[1].endswith(f"@{thing.key}")):
            continue
        for column, value in zip(wanted, values, strict=True):
            if value in wanted[column]:
                shared[who][column].add(value)


def _logged_in(thing: Thing, ips: Sequence[str], now: datetime, shared: Any) -> None:
    """Who has logged in from the same addresses."""
    if not ips:
        return
    logins = Login.objects.filter(ip__in=ips, day__gte=(now - _LOGINS_BACK).date())
    for email, ip in logins.order_by("-last").values_list("user__email", "ip")[:_MATCHES]:
        if email and email != thing.key:
            shared["user", email]["client_ip"].add(ip)


def _said(parts: Mapping[str, set[str]]) -> list[str]:
    words = {"client_ip": _("Same IP address"), "subject": _("Same subject"), "ehlo_name": _("Same EHLO name")}
    return [f"{words[name]}: {', '.join(sorted(parts[name])[:2])[:80]}" for name in words if name in parts]
