"""Looks for the records of a domain, and keeps what was found."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.conf import settings as django_settings
from django.db import transaction
from django.db.models import Min, Q
from django.utils import timezone

from accounts.models import Domain
from base.name_servers import Answer, NameServers, NoAnswer
from mailspool.dns_records import asking, policy, wishes
from mailspool.dns_records.host import Host, certificate, this_host
from mailspool.dns_records.names import HOST
from mailspool.dns_records.records import LONGEST_SHOWN, Looked, Verdict, Wish, unknown
from spool.models.dkim import DkimKey
from spool.models.dns import BAD, DomainRecord, RecordState
from spool.signing import lifecycle

EVERY: Final = timedelta(days=1)
# Records that are wrong are often being mended.
BAD_EVERY: Final = timedelta(hours=1)
_AT_ONCE: Final = 8
_WORST: Final = (RecordState.WRONG, RecordState.MISSING, RecordState.UNKNOWN, RecordState.OPTIONAL, RecordState.RIGHT)


def look_at(domain: str, now: datetime, host: Host | None = None) -> list[DomainRecord]:
    """Look for all records of a domain (HOST for the host's), its DKIM keys too, and keep what was found."""
    host = host or this_host()
    asked = _wishes(domain, host)
    servers = asking.servers()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        looked = list(pool.map(partial(_look_for, servers=servers), asked)) if not host.no_answer else []
    for key in keys_shown_at(domain):
        lifecycle.look(key, now)
    if host.no_answer:
        looked = [_unasked(wish, host.no_answer) for wish in asked]
    return _keep(domain, looked, now)


def keys_shown_at(domain: str) -> list[DkimKey]:
    """The DKIM keys of a domain; at the host those of the domain that its name is in, where that is none of ours."""
    if domain != HOST:
        return lifecycle.keys_of(domain)
    labels = django_settings.MAILSPOOL_HOSTNAME.lower().rstrip(".").split(".")
    names = {".".join(labels[start:]) for start in range(len(labels))}
    return lifecycle.keys_of(*names - set(Domain.objects.filter(name__in=names).values_list("name", flat=True)))


def sweep() -> None:
    """SPOOL_SWEEPS: look at the domain whose turn it is. One at a time: that may take half a minute."""
    now = timezone.now()
    if (domain := _next(now)) is not None:
        look_at(domain, now)


def tidy(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: forget domains that are no longer ours."""
    DomainRecord.objects.exclude(Q(domain=HOST) | Q(domain__in=Domain.objects.values("name"))).delete()


def _next(now: datetime) -> str | None:
    looked = DomainRecord.objects.values("domain").annotate(last=Min("checked"))
    if not DomainRecord.objects.filter(domain=HOST).exists():
        return HOST
    new = Domain.objects.exclude(name__in=DomainRecord.objects.values("domain")).order_by("name").first()
    if new is not None:
        return str(new.name)
    bad = DomainRecord.objects.filter(state__in=BAD, checked__lt=now - BAD_EVERY)
    due = looked.filter(Q(last__lt=now - EVERY) | Q(domain__in=bad.values("domain"))).order_by("last").first()
    return str(due["domain"]) if due is not None else None


def _wishes(domain: str, host: Host) -> list[Wish]:
    if domain != HOST:
        return wishes.of_domain(domain, host, policy.policy_id())
    return wishes.of_host(host, certificate()) if host.is_named else []


def _look_for(wish: Wish, servers: NameServers) -> Looked:
    try:
        if wish.by_resolver:
            answers = [Answer("", asking.ask(wish.name, wish.kind))]
        else:
            answers = servers.look(wish.name, wish.kind)
        said = {answer.records: answer for answer in answers}
        judged = [(wish.judge(records), answer) for records, answer in said.items()]
    except NoAnswer as error:
        return _unasked(wish, str(error))
    except Exception as error:  # the edge of a look: records are whatever strangers write into them
        return _unasked(wish, f"it can't be read ({type(error).__name__}: {str(error)[:100]})")
    if not judged:
        return _unasked(wish, "the zone names no name servers")
    verdict, answer = min(judged, key=lambda one: _WORST.index(one[0].state))
    return _looked(wish, verdict, answer.records, answer.server if len(judged) > 1 else "")


def _looked(wish: Wish, verdict: Verdict, records: Sequence[str], server: str) -> Looked:
    sentence = f"At {server}: {verdict.sentence}" if server else verdict.sentence
    found = "\n".join(records)[:LONGEST_SHOWN]
    wanted = verdict.wanted or wish.wanted
    return Looked(wish.purpose, wish.name, wish.kind, wanted, found, verdict.state, sentence[:500])


def _unasked(wish: Wish, reason: str) -> Looked:
    return _looked(wish, unknown(f"{reason[:1].upper()}{reason[1:]}."), (), "")


def _keep(domain: str, looked: Sequence[Looked], now: datetime) -> list[DomainRecord]:
    with transaction.atomic():
        before = {(row.purpose, row.name, row.kind): row for row in DomainRecord.objects.filter(domain=domain)}
        rows = []
        for place, one in enumerate(looked):
            old = before.get((one.purpose, one.name, one.kind))
            was_right = now if one.state == RecordState.RIGHT else old.was_right if old is not None else None
            rows.append(
                DomainRecord(
                    domain=domain,
                    purpose=one.purpose,
                    name=one.name,
                    kind=one.kind,
                    place=place,
                    wanted=one.wanted,
                    found=one.found,
                    state=one.state,
                    sentence=one.sentence,
                    checked=now,
                    was_right=was_right,
                )
            )
        DomainRecord.objects.filter(domain=domain).delete()
        return list(DomainRecord.objects.bulk_create(rows))
