"""Looks for the records of a domain, and keeps what was found."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.conf import settings as django_settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Domain
from base.background import Background, at_once
from base.edges import one_of_many
from base.facts import Fact, fact, whole
from base.name_servers import Answer, NameServers, NoAnswer
from mailspool.dns_records import asking, policy, report_addresses, verdicts, wishes
from mailspool.dns_records.host import Host, certificate, this_host
from mailspool.dns_records.names import HOST
from mailspool.dns_records.records import LONGEST_SHOWN, Verdict, Wish, unknown
from spool.delivery.policies import tried_resolver
from spool.delivery.shaping.classes import ReplyClass
from spool.models.destination import Destination
from spool.models.dkim import DkimKey
from spool.models.dns import BAD, DomainRecord, RecordState
from spool.models.settings import current
from spool.signing import lifecycle

log = logging.getLogger(__name__)

EVERY: Final = timedelta(days=1)
# Records that are wrong are often being mended.
BAD_EVERY: Final = timedelta(hours=1)
_AT_ONCE: Final = 8
# Domains whose look raised, and when: they are left out for a while.
_failed: dict[str, datetime] = {}
_WORST: Final = (RecordState.WRONG, RecordState.MISSING, RecordState.UNKNOWN, RecordState.OPTIONAL, RecordState.RIGHT)


def look_at(domain: str, now: datetime) -> None:
    """Look for all records of a domain (HOST for the host's), its DKIM keys too, and keep what was found."""
    host = this_host()
    found = _looked_for(domain, host)
    for row in found:
        report_addresses.judge(row, domain)
    _keep(domain, found, now, is_whole=not host.no_answer)
    for key in keys_shown_at(domain):
        lifecycle.look(key, now)


def _looked_for(domain: str, host: Host) -> list[DomainRecord]:
    if domain == HOST and not host.is_named:
        return [_found(wishes.address_of(host, "A"), verdicts.unnamed(host))]
    asked = (
        wishes.of_host(host, certificate(), current().block_lists)
        if domain == HOST
        else wishes.of_domain(domain, host, policy.policy_id())
    )
    if host.no_answer:
        return [_unasked(wish, host.no_answer) for wish in asked]
    servers = asking.servers()
    looks = [partial(_look_for, wish, servers) for wish in asked]
    if domain == HOST:
        looks.append(partial(_resolver, honours_dane=current().honour_dane))
    return at_once(lambda look: look(), looks, _AT_ONCE)


def _resolver(*, honours_dane: bool) -> DomainRecord:
    """The resolver that this server asks: by it others' DANE is honoured or not."""
    named, state = tried_resolver(str(django_settings.MAILSPOOL_DNS))
    verdict = verdicts.resolver(state, honours_dane=honours_dane)
    return _found(Wish("Resolver", named, "DNSSEC", "", lambda records: verdict), verdict)


def keys_shown_at(domain: str) -> list[DkimKey]:
    """The DKIM keys of a domain; at the host those of the domain that its name is in, where that is none of ours."""
    if domain != HOST:
        return lifecycle.keys_of(domain)
    names = set(lifecycle.domains_of_host())
    return lifecycle.keys_of(*names - set(Domain.objects.filter(name__in=names).values_list("name", flat=True)))


def sweep() -> None:
    """SPOOL_SWEEPS: have the domain looked at whose turn it is. The sweep does not wait for its name servers."""
    if _next(timezone.now()) is not None:
        looker.start()


def look_at_due() -> None:
    """Look at the domain whose turn it is. That may take half a minute."""
    now = timezone.now()
    if (domain := _next(now)) is None:
        return
    with one_of_many(log, "the DNS records of %s could not be looked at", domain or "this server") as edge:
        look_at(domain, now)
    if edge.has_failed:
        # It is not to be the next one again and again.
        _failed[domain] = now


looker: Final = Background("looking at DNS records", look_at_due)


def tidy(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: forget domains that are no longer ours."""
    DomainRecord.objects.exclude(Q(domain=HOST) | Q(domain__in=Domain.objects.values("name"))).delete()


def _next(now: datetime) -> str | None:
    """The host, a domain that was never looked at, or that whose look is the longest ago; None when none is due."""
    for name in [name for name, failed in _failed.items() if failed < now - BAD_EVERY]:
        del _failed[name]
    of_host = DomainRecord.objects.filter(domain=HOST).order_by("checked").values_list("checked", flat=True).first()
    is_wanted = of_host is None or (of_host < now - BAD_EVERY and _was_refused_since(of_host))
    if is_wanted and HOST not in _failed:
        return HOST
    new = Domain.objects.exclude(name__in=DomainRecord.objects.values("domain")).order_by("name")
    new = new.exclude(name__in=list(_failed))
    is_due = Q(checked__lt=now - EVERY) | Q(checked__lt=now - BAD_EVERY, state__in=BAD)
    due = DomainRecord.objects.filter(is_due).exclude(domain__in=list(_failed)).order_by("checked")
    return new.values_list("name", flat=True).first() or due.values_list("domain", flat=True).first()


def _was_refused_since(moment: datetime) -> bool:
    """Whether some receiver has refused an address of ours: it may be on a block list."""
    refused = Destination.objects.filter(changed__gt=moment, reason=ReplyClass.REPUTATION)
    return refused.exists()


def _look_for(wish: Wish, servers: NameServers) -> DomainRecord:
    try:
        if wish.by_resolver:
            answers = [Answer("", asking.ask(wish.name, wish.kind))]
        else:
            answers = servers.look(wish.name, wish.kind)
        said = {answer.records: answer for answer in answers}
        judged = [(wish.judge(records), answer) for records, answer in said.items()]
    except NoAnswer as error:
        return _unasked(wish, error.fact)
    except Exception as error:  # the edge of a look: records are whatever strangers write into them
        why = f"{type(error).__name__}: {str(error)[:100]}"
        return _unasked(wish, fact("it can't be read (%(why)s)", why=why))
    if not judged:
        return _unasked(wish, fact("the zone names no name servers"))
    verdict, answer = min(judged, key=lambda one: _WORST.index(one[0].state))
    return _found(wish, verdict, answer.records, answer.server if len(judged) > 1 else "")


def _unasked(wish: Wish, reason: Fact) -> DomainRecord:
    return _found(wish, unknown(whole(reason)))


def _found(wish: Wish, verdict: Verdict, records: Sequence[str] = (), server: str = "") -> DomainRecord:
    """What is kept of it, but for whose it is and when that was. `server` is who says so, where others do not."""
    said = verdict.sentence
    if server:
        said = fact("At %(server)s: %(said)s", server=server, said=said)
    return DomainRecord(
        purpose=wish.purpose,
        name=wish.name,
        kind=wish.kind,
        wanted=verdict.wanted or wish.wanted,
        found="\n".join(records)[:LONGEST_SHOWN],
        state=verdict.state,
        sentence=said.english[:500],
        fact=said.kept,
    )


def _keep(domain: str, found: Sequence[DomainRecord], now: datetime, *, is_whole: bool) -> None:
    """Put them in the place of what was there; of that the rest stays when the look was not of all records."""
    with transaction.atomic():
        before = {(row.purpose, row.name, row.kind): row for row in DomainRecord.objects.filter(domain=domain)}
        for place, row in enumerate(found):
            old = before.pop((row.purpose, row.name, row.kind), None)
            row.domain, row.place, row.checked = domain, place, now
            row.was_right = now if row.state == RecordState.RIGHT else old.was_right if old is not None else None
        kept = [] if is_whole else [row.pk for row in before.values()]
        DomainRecord.objects.filter(domain=domain).exclude(pk__in=kept).delete()
        DomainRecord.objects.bulk_create(found)
