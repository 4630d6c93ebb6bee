"""Strangers who come in from an internal network: a NAT, a container's network or a gateway hides who they are.

Then the address says nothing about the client any more, and all that is decided by it is decided about everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import directory
from base.short_cache import ShortCache
from security import lists
from security.addresses import parse_address, parse_network
from security.signals import INTERNAL
from spool.models.trace import Trace
from spool.models.traffic import TrafficKind
from spool.traffic.figures import tops

# One device may write in one name without a login; so many domains that are not ours are the world.
DOMAINS: Final = 5
_MOST_READ: Final = 500
_FRESH_SECONDS: Final = 60.0
_NETWORKS: Final = tuple(parse_network(network) for network, _ in INTERNAL)


def warning() -> str:
    """What to tell the administrator, or "". At most once a minute the database is asked, three times."""
    return sentence(_kept.current())


def sentence(hiding: Iterable[str]) -> str:
    """About those addresses; "" about none."""
    named = ", ".join(hiding)
    if not named:
        return ""
    return _(
        "Strangers' mail comes in from %(named)s, of an internal network: a NAT, a container's network or a gateway"
        " hides who they are. SPF, DNS lists, reverse DNS, greylisting, the blacklist and limits per address see that"
        " address alone, and wrong passwords from there never close the login to it. What to do is in docs/security.md,"
        " “Behind NAT or in a container”."
    ) % {"named": named}


def addresses() -> list[str]:
    """Internal addresses, busy ones of the last day, from which people of many domains wrote without a login."""
    now = timezone.now()
    listed = lists.current()
    busy = [row.key for row in tops([TrafficKind.INBOUND_IP], now)[TrafficKind.INBOUND_IP]]
    return [
        ip for ip in busy if _is_internal(ip) and not _is_let_off(listed, ip) and len(_foreign_domains(ip)) >= DOMAINS
    ]


def _is_let_off(listed: lists.Lists, ip: str) -> bool:
    """Whether somebody has an entry for just this gateway; not a whole internal network, which may be the world."""
    return listed.vouched_for(ip) and (listed.may_relay(ip) or listed.skips_spam_checks(ip))


def _is_internal(ip: str) -> bool:
    address = parse_address(ip)
    return address is not None and any(address in network for network in _NETWORKS)


def _foreign_domains(ip: str) -> set[str]:
    recent = Trace.objects.filter(client_ip=ip, auth_user="", ended__gt=timezone.now() - timedelta(days=1))
    senders = recent.order_by("-ended").values_list("sender", flat=True)[:_MOST_READ]
    domains = {sender.rpartition("@")[2].lower() for sender in senders} - {""}
    return {name for name, found in directory.local_domains(domains).items() if found is None}


_kept = ShortCache(_FRESH_SECONDS, addresses)


def forget() -> None:
    """Drop what was kept."""
    _kept.forget()
