"""What reports have said, summed up for pages and commands: of any number of domains, in a few queries each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db.models import Count, Max, Q, Sum

from spool.models.mail_report import DMARCSource, MailReport, ReportedTLSFailure, ReportKind

MOST_SHOWN: Final = 100
MOST_REPORTS: Final = 50


@dataclass(frozen=True, slots=True)
class Counted:
    """Of reports of one kind: how many, and what they counted."""

    reports: int = 0
    good: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        return self.good + self.bad

    @property
    def share(self) -> float:
        """How much of it went well, in percent."""
        return 100 * self.good / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class OfDomain:
    """What is said of one domain: of mail in its name, and of TLS with us."""

    dmarc: Counted
    tls: Counted


NOTHING: Final = OfDomain(Counted(), Counted())


@dataclass(frozen=True, slots=True)
class Failure:
    """Sessions that failed alike, over all who report."""

    result: str
    policy_type: str
    host: str
    count: int
    reporters: int
    reporter: str
    sending_ip: str
    reason: str
    day: date
    is_proven: bool


@dataclass(frozen=True, slots=True)
class Sender:
    """An address that sent in a domain's name. Empty: all that there was no room to keep apart."""

    ip: str
    count: int
    good: int
    dkim: int
    spf: int
    quarantined: int
    rejected: int
    header_from: str
    dkim_domain: str
    spf_domain: str
    day: date

    @property
    def bad(self) -> int:
        """How many messages did not pass."""
        return self.count - self.good


def since(days: int, now: datetime) -> date:
    """The first of so many days."""
    return now.astimezone(UTC).date() - timedelta(days=days)


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def sums(domains: Sequence[str], first: date) -> dict[str, OfDomain]:
    """Those of several domains, of which something was reported; of mail in their name what is proved. One query."""
    found: dict[str, dict[str, Counted]] = {}
    rows = (
        MailReport.objects.filter(Q(kind=ReportKind.TLS) | Q(signed_by__gt=""), domain__in=domains)
        .filter(ends__gte=_begin_of(first))
        .order_by()
        .values_list("domain", "kind")
        .annotate(Count("pk"), Sum("good"), Sum("bad"))
    )
    for domain, kind, number, good, bad in rows:
        found.setdefault(domain, {})[kind] = Counted(number, good, bad)
    return {
        name: OfDomain(kinds.get(ReportKind.DMARC, Counted()), kinds.get(ReportKind.TLS, Counted()))
        for name, kinds in found.items()
    }


def failures(domain: str, first: date, most: int = MOST_SHOWN) -> list[Failure]:
    """Whose TLS with us failed and why, the most frequent first: one query."""
    rows = (
        ReportedTLSFailure.objects.filter(domain=domain, day__gte=first)
        .order_by()
        .values("result", "policy_type", "host")
        .annotate(
            total=Sum("count"),
            who=Count("reporter", distinct=True),
            one=Max("reporter"),
            ip=Max("sending_ip"),
            why=Max("reason"),
            last=Max("day"),
            proven=Count("pk", filter=Q(is_proven=True)),
        )
        .order_by("-total", "result", "host")
    )
    return [
        Failure(
            row["result"],
            row["policy_type"],
            row["host"],
            row["total"],
            row["who"],
            row["one"],
            row["ip"],
            row["why"],
            row["last"],
            bool(row["proven"]),
        )
        for row in rows[:most]
    ]


def senders(domain: str, first: date, *, only_bad: bool = False, most: int = MOST_SHOWN) -> list[Sender]:
    """Who sent in its name, those with the most mail first; `only_bad`: by mail that did not pass. One query."""
    passed = Q(dkim=True) | Q(spf=True)
    rows: Any = (
        DMARCSource.objects.filter(domain=domain, day__gte=first)
        .order_by()
        .values("source_ip")
        .annotate(
            total=Sum("count"),
            good=Sum("count", filter=passed, default=0),
            by_dkim=Sum("count", filter=Q(dkim=True), default=0),
            by_spf=Sum("count", filter=Q(spf=True), default=0),
            quarantined=Sum("count", filter=Q(disposition="quarantine"), default=0),
            rejected=Sum("count", filter=Q(disposition="reject"), default=0),
            bad=Sum("count", filter=~passed, default=0),
            name=Max("header_from"),
            signer=Max("dkim_domain"),
            envelope=Max("spf_domain"),
            last=Max("day"),
        )
    )
    rows = rows.filter(bad__gt=0).order_by("-bad", "source_ip") if only_bad else rows.order_by("-total", "source_ip")
    return [
        Sender(
            row["source_ip"],
            row["total"],
            row["good"],
            row["by_dkim"],
            row["by_spf"],
            row["quarantined"],
            row["rejected"],
            row["name"],
            row["signer"],
            row["envelope"],
            row["last"],
        )
        for row in rows[:most]
    ]


def received(domain: str, first: date, most: int = MOST_REPORTS) -> list[MailReport]:
    """The reports themselves, the newest first; of all domains where none is named. One query."""
    rows = MailReport.objects.filter(ends__gte=_begin_of(first)).order_by("-pk")
    return list((rows.filter(domain=domain) if domain else rows)[:most])
