"""Sending the reports: which are due, who wants them, and what became of that.

A day's reports are planned when it is over, each for a random moment of the hours that follow. What fails is tried
again until a day has gone by since, and then forgotten.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dns.exception
import dns.resolver
from django.conf import settings as django_settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from base import outgoing_http, resolvers
from base.background import Background, at_once
from base.edges import one_of_many
from spool.addressing import RefusedRecipient, accept
from spool.flow import intake
from spool.message.envelope import Envelope, Submission
from spool.models import Origin, Priority
from spool.models.settings import current
from spool.models.tls_report import ReportState, TLSReport, TLSSessions
from spool.signing.ring import cached_ring
from spool.tls_reports.addresses import mailbox_of, wanted_by
from spool.tls_reports.document import Report, Reporter
from spool.tls_reports.message import MEDIA_TYPE, message_of

log = logging.getLogger(__name__)

# What workers have counted before midnight is written by then.
AFTER_MIDNIGHT: Final = timedelta(minutes=15)
# Within so much the reports of a day are begun; the rest of the day is for further tries.
SPREAD: Final = timedelta(hours=8)
FIRST_PAUSE: Final = timedelta(minutes=15)
GIVE_UP: Final = timedelta(hours=24)
# A domain whose DNS says nothing costs a thread that long.
DNS_SECONDS: Final = 5.0
# Of a sweep: so many at once, and so many threads.
AT_A_TIME: Final = 40
THREADS: Final = 8
_PLANNED_AT_ONCE: Final = 5_000
# Days of which counts are kept, today not among them.
KEPT_DAYS: Final = 2
# Reports that were made, for those who look.
KEPT_REPORTS: Final = timedelta(days=14)
# Of those whom reports are posted to, nobody may be inside.
_NETWORKS: tuple[str, ...] = ()

_planned: date | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """Of one report: who wants it, of those who got it by HTTPS, what went wrong; None: the DNS gave no answer."""

    wanted: tuple[str, ...] | None
    posted: tuple[str, ...] = ()
    trouble: str = ""


def sweep() -> None:
    """SPOOL_SWEEPS: plan what is over, and send what is due."""
    if not are_sent():
        return
    now = timezone.now()
    plan(now)
    if TLSReport.objects.filter(due__lte=now).exists():
        sender.start()


def are_sent() -> bool:
    """Whether reports go out: a setting wants it, and they would be signed."""
    settings = current()
    return settings.send_tls_reports and cached_ring().signs_as(settings.postmaster_address)


def forget_planned() -> None:
    """Look again whether all of yesterday is planned."""
    global _planned
    _planned = None


def plan(now: datetime) -> None:
    """Have the reports of yesterday made, each at a moment of its own. Once a day in each process."""
    global _planned
    day = (now - AFTER_MIDNIGHT).astimezone(UTC).date() - timedelta(days=1)
    if _planned == day:
        return
    made = TLSReport.objects.filter(day=day, domain=OuterRef("domain"))
    counted = TLSSessions.objects.filter(~Exists(made), day=day).order_by()
    while domains := list(counted.values_list("domain", flat=True).distinct()[:_PLANNED_AT_ONCE]):
        rows = [TLSReport(day=day, domain=name, due=now + SPREAD * random.random()) for name in domains]
        TLSReport.objects.bulk_create(rows, ignore_conflicts=True)
    _planned = day


def send_due(now: datetime) -> None:
    """Send those whose time has come, each by one process."""
    due = TLSReport.objects.filter(due__lte=now).order_by("due")[:AT_A_TIME]
    mine = [one for one in due if TLSReport.objects.filter(pk=one.pk, due=one.due).update(due=now + FIRST_PAUSE)]
    if not mine:
        return
    reports = _reports_of(mine)
    # Only what waits for others: the database is for this thread.
    done = [one.done for one in mine]
    answers = at_once(lambda one: _ask_and_post(*one), list(zip(reports, done, strict=True)), THREADS)
    for row, report, answer in zip(mine, reports, answers, strict=True):
        # One that fails is tried again.
        with one_of_many(log, "the TLS report for %s could not be concluded", row.domain):
            _conclude(row, report, answer, now)


def _reports_of(rows: Sequence[TLSReport]) -> list[Report]:
    reporter = Reporter(django_settings.MAILSPOOL_HOSTNAME, current().postmaster_address)
    counted: dict[tuple[date, str], list[TLSSessions]] = {}
    wanted = {one.day for one in rows}, {one.domain for one in rows}
    for sessions in TLSSessions.objects.filter(day__in=wanted[0], domain__in=wanted[1]).order_by("id"):
        counted.setdefault((sessions.day, sessions.domain), []).append(sessions)
    return [Report(reporter, one.domain, one.day, counted.get((one.day, one.domain), [])) for one in rows]


def _ask_and_post(report: Report, done: Sequence[str]) -> _Answer:
    """Who wants the report; those who want it by HTTPS get it. In a thread: no database."""
    try:
        wanted = wanted_by(_texts(f"_smtp._tls.{report.domain}"))
    except (dns.exception.DNSException, OSError, ValueError) as error:
        return _Answer(None, trouble=f"the DNS gave no answer ({type(error).__name__})")
    posted, trouble = list[str](), ""
    for uri in wanted:
        if mailbox_of(uri) or uri in done:
            continue
        try:
            outgoing_http.post(uri, report.packed(), {"Content-Type": MEDIA_TYPE}, _NETWORKS)
            posted.append(uri)
        except outgoing_http.NotDelivered as error:
            trouble = str(error)
        except Exception as error:  # the edge of a post: whatever a stranger named must not stop other reports
            log.exception("a TLS report could not be posted")
            trouble = repr(error)
    return _Answer(wanted, tuple(posted), trouble)


def _texts(name: str) -> list[str]:
    resolver = resolvers.resolver(dns.resolver.Resolver, str(django_settings.MAILSPOOL_DNS))
    try:
        answer = resolver.resolve(name, "TXT", search=False, lifetime=DNS_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


def _conclude(row: TLSReport, report: Report, answer: _Answer, now: datetime) -> None:
    """Mail it to those who want it so, and write down what became of it."""
    done, trouble = [*row.done, *answer.posted], answer.trouble
    for uri in answer.wanted or ():
        if (mailbox := mailbox_of(uri)) and uri not in done:
            try:
                _mail(report, mailbox, now)
                done.append(uri)
            except (RefusedRecipient, intake.IntakeError) as error:
                trouble = getattr(error, "reply", "") or str(error)
    row.attempts += 1
    row.done, row.outcome = done, trouble[:300]
    if answer.wanted is not None and not trouble:
        row.state = ReportState.SENT if answer.wanted else ReportState.NOT_WANTED
        row.due, row.at = None, now
    else:
        again = now + FIRST_PAUSE * 2 ** min(row.attempts - 1, 4)
        over = datetime.combine(row.day, datetime.min.time(), UTC) + timedelta(days=1) + GIVE_UP
        if again > over:
            row.state, row.due, row.at = ReportState.SENT if done else ReportState.FAILED, None, now
        else:
            row.due = again
        log.warning("the TLS report for %s did not reach all who want it: %s", row.domain, trouble)
    row.save()


def _mail(report: Report, mailbox: str, now: datetime) -> None:
    """Put it into our own spool. Raises RefusedRecipient, IntakeError."""
    # From the null sender: what can't be delivered must not make more mail.
    envelope = Envelope("", accept(mailbox, notify="NEVER"), origin=Origin.COMMAND, priority=Priority.LOW)
    intake.accept([Submission(envelope, message_of(report, mailbox, now))])


# The sweep does not wait for the DNS and web servers of others.
sender: Final = Background("sending TLS reports", lambda: send_due(timezone.now()))


def tidy(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: forget what was counted long ago."""
    TLSSessions.objects.filter(day__lt=now.astimezone(UTC).date() - timedelta(days=KEPT_DAYS)).delete()
    TLSReport.objects.filter(day__lt=(now - KEPT_REPORTS).astimezone(UTC).date()).delete()
