"""Reads what has come in and looks like a report, and stores what it says of our domains. In a maintenance worker.

A report that is of no use is only logged: its mail is in the mailbox that it was sent to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from django.db import DataError, transaction
from django.db import Error as DatabaseError
from django.utils import timezone

from base.background import Background
from base.batches import batched
from mailspool.dns_records.names import our_domain
from mailspool.mail_reports import dmarc, tls_rpt
from mailspool.mail_reports.dmarc import MOST_MESSAGES, DMARCRead, Source, Told
from mailspool.mail_reports.packed import Unreadable, unpacked
from mailspool.mail_reports.tls_rpt import OfDomain, TLSRead
from quarantine.engines.authentication import DkimResult, SpfResult, dkim_of, spf_of
from quarantine.engines.dmarc import TooMuch, from_domains
from quarantine.engines.examined import Examined
from spool.message.structure import body_in, structure_in
from spool.models.mail_report import DMARCSource, IncomingReport, MailReport, ReportedTLSFailure, ReportKind
from spool.models.settings import current

log = logging.getLogger(__name__)

AT_A_TIME: Final = 20
# Of a domain and a day so many addresses are kept apart, and so many kinds of failures.
MOST_SOURCES: Final = 5_000
MOST_FAILURES: Final = 2_000
# A report is about the last days, and by clocks that go right.
OLDEST: Final = timedelta(days=30)
NEWEST: Final = timedelta(days=2)
_MOST_PARTS: Final = 10
_QUERY_SIZE: Final = 500
_BOM: Final = b"\xef\xbb\xbf"


def sweep() -> None:
    """SPOOL_SWEEPS: have those read that wait. The sweep does not wait for the DNS of whoever signed them."""
    if IncomingReport.objects.exists():
        reader.start()


def read_waiting() -> None:
    """Read some of them."""
    for row in IncomingReport.objects.order_by("id")[:AT_A_TIME]:
        try:
            _read(row, timezone.now())
        except Unreadable as error:
            log.info("%s, a report from <%s>, is not read: %s", row.file_name, row.sender, error)
        except DatabaseError as error:
            # The database is away: it is read again in the next sweep. But not what the database can't keep.
            if not isinstance(error, DataError):
                raise
            log.warning("%s, a report from <%s>, can't be stored: %s", row.file_name, row.sender, error)
        except Exception:  # the edge of a reader of what strangers wrote: no report may keep the others from being read
            log.exception("%s, a report from <%s>, can't be read", row.file_name, row.sender)
        # Whatever it is: it is not looked at again.
        IncomingReport.objects.filter(pk=row.pk).delete()


reader: Final = Background("reading reports", read_waiting)


def tidy(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: forget what was reported long ago."""
    before = (now - timedelta(days=current().report_days)).astimezone(UTC)
    MailReport.objects.filter(ends__lt=before).delete()
    ReportedTLSFailure.objects.filter(day__lt=before.date()).delete()
    DMARCSource.objects.filter(day__lt=before.date()).delete()


def report_in(content: bytes) -> TLSRead | DMARCRead:
    """The report that a message carries. Raises Unreadable."""
    trouble = Unreadable("it carries no report")
    for packed in _attachments(content):
        try:
            found = unpacked(packed).removeprefix(_BOM).lstrip()
            if found.startswith(b"{"):
                return tls_rpt.read(found)
            if found.startswith(b"<"):
                return dmarc.read(found)
        except Unreadable as error:
            trouble = error
    raise trouble


def _attachments(content: bytes) -> Iterator[bytes]:
    """The parts that may be one, at most so many."""
    parts = [one for one in structure_in(content).parts if not one.content_type.startswith(("text/html", "image/"))]
    for part in [one for one in parts if one.content_type != "text/plain" or one.name][:_MOST_PARTS]:
        yield body_in(content, part, len(content))


def _read(row: IncomingReport, now: datetime) -> None:
    """Store what it says. Raises Unreadable."""
    content = bytes(row.content)
    report = report_in(content)
    if not now - OLDEST < report.begins <= report.ends + timedelta(seconds=1) or report.ends > now + NEWEST:
        raise Unreadable(f"it is about {report.begins:%Y-%m-%d} to {report.ends:%Y-%m-%d}")
    if not report.reporter or not report.report_id:
        raise Unreadable("it does not say whose it is")
    proof = proof_of(content, row)
    if isinstance(report, TLSRead):
        ours = [(name, one) for one in report.domains if (name := our_domain(one.domain))]
        if not ours:
            raise Unreadable("it is about no domain of ours")
        for domain, one in ours:
            with transaction.atomic():
                if _is_new(ReportKind.TLS, domain, report, proof.signer, row.received, one.good, one.bad):
                    _store_failures(domain, report, one, is_proven=bool(proof.signer))
        return
    name = our_domain(report.domain)
    if not name:
        raise Unreadable(f"it is about {report.domain or 'no domain'}, which is none of ours")
    with transaction.atomic():
        # Anybody can write one: what is to be believed passes DMARC itself (RFC 9990, RFC 7489 7.2.1.1).
        by = proof.signer or (f"{proof.sender} (SPF)" if proof.sender else "")
        if _is_new(ReportKind.DMARC, name, report, by, row.received, report.good, report.bad) and by:
            _store_sources(name, report)


@dataclass(frozen=True, slots=True)
class Proof:
    """Domains that speak for who a message says it is from: one whose DKIM signature is good, and that of a sender who
    passes SPF. Empty where there is none."""

    signer: str = ""
    sender: str = ""


def proof_of(content: bytes, row: IncomingReport) -> Proof:
    """By whom the mail that a report came in is proved."""
    examined = Examined(Path(), len(content), row.sender, client_ip=row.client_ip, held=content)
    try:
        authors = from_domains(examined)
        sent, signatures = asyncio.run(_asked(examined))
    except (TooMuch, OSError):
        return Proof()
    good = [one.domain for one in signatures if one.result == "pass"]
    senders = [sent.domain.lower()] if sent.result == "pass" and not sent.of_helo else []
    return Proof(_speaking_for(authors, good), _speaking_for(authors, senders))


async def _asked(examined: Examined) -> tuple[SpfResult, list[DkimResult]]:
    return await asyncio.gather(spf_of(examined), dkim_of(examined))


def _speaking_for(authors: Sequence[str], domains: Sequence[str]) -> str:
    return next((one for one in domains if any(f".{author}".endswith(f".{one}") for author in authors)), "")


def _is_new(
    kind: ReportKind, domain: str, report: TLSRead | DMARCRead, signer: str, received: datetime, good: int, bad: int
) -> bool:
    told = {
        "signed_by": signer[:255],
        "begins": report.begins,
        "ends": report.ends,
        "received": received,
        "good": good,
        "bad": bad,
    }
    row, is_new = MailReport.objects.get_or_create(
        kind=kind, domain=domain, reporter=report.reporter, report_id=report.report_id, defaults=told
    )
    if is_new or row.signed_by or not signer:
        return is_new
    # Many ids are easily guessed: what somebody wrote under one keeps out nothing that is proved.
    MailReport.objects.filter(pk=row.pk).update(**told)
    return True


def _store_failures(domain: str, report: TLSRead, one: OfDomain, *, is_proven: bool) -> None:
    day = _day_of(report)
    room = MOST_FAILURES - ReportedTLSFailure.objects.filter(domain=domain, day=day).count()
    ReportedTLSFailure.objects.bulk_create(
        ReportedTLSFailure(
            domain=domain,
            day=day,
            reporter=report.reporter,
            policy_type=failure.policy_type,
            result=failure.result,
            host=failure.host,
            sending_ip=failure.sending_ip,
            reason=failure.reason,
            count=failure.count,
            is_proven=is_proven,
        )
        for failure in one.failures[: max(0, room)]
    )


def _store_sources(domain: str, report: DMARCRead) -> None:
    """Add its counts to those of other reports. Beyond the bound, addresses that are new count as others."""
    day = _day_of(report)
    of_day = DMARCSource.objects.filter(domain=domain, day=day)
    room = MOST_SOURCES - of_day.count()
    ips = sorted({"", *(source.ip for source in report.sources)})
    kept = {_key(row): row for some in batched(ips, _QUERY_SIZE) for row in of_day.filter(source_ip__in=some)}
    new: dict[Source, DMARCSource] = {}
    for found, told in report.sources.items():
        has_row = found in kept or found in new or len(new) < room
        source = found if has_row else Source("", found.dkim, found.spf, found.disposition)
        if source not in kept:
            new.setdefault(source, _row(domain, day, source))
        _add(kept.get(source) or new[source], told, report.reporter)
    DMARCSource.objects.bulk_create(new.values(), _QUERY_SIZE)
    fields = ["count", "header_from", "dkim_domain", "spf_domain", "reporter"]
    DMARCSource.objects.bulk_update(kept.values(), fields, _QUERY_SIZE)


def _key(row: DMARCSource) -> Source:
    return Source(row.source_ip, row.dkim, row.spf, row.disposition)


def _row(domain: str, day: date, source: Source) -> DMARCSource:
    return DMARCSource(
        domain=domain,
        day=day,
        source_ip=source.ip,
        dkim=source.dkim,
        spf=source.spf,
        disposition=source.disposition,
    )


def _add(row: DMARCSource, told: Told, reporter: str) -> None:
    row.count = min(row.count + told.count, MOST_MESSAGES)
    row.header_from = told.header_from
    row.dkim_domain, row.spf_domain = told.dkim_domain, told.spf_domain
    row.reporter = reporter


def _day_of(report: TLSRead | DMARCRead) -> date:
    """The day that most of it is about: some begin in the evening before."""
    return (report.begins + (report.ends - report.begins) / 2).astimezone(UTC).date()
