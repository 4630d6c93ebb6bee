"""Suppressed recipients in the flow: who is bounced without a try, and what answers of hosts are noted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import Error as DatabaseError

from accounts.addresses import key_of
from accounts.models.suppression import SuppressionMode
from spool import suppression
from spool.message.envelope import DeliveryReport, LeasedEntry
from spool.models.entry import HANDED_IN, Origin
from spool.models.recipient import Kind, Outcome
from spool.models.suppression import Finding, SuppressionReason
from spool.rows import statements
from spool.suppression import DEAD
from spool.trusted import says_ours

log = logging.getLogger(__name__)

_STRICT = (SuppressionMode.REFUSE.value, SuppressionMode.BOUNCE.value)


def refuse_suppressed(entries: Sequence[LeasedEntry], now: datetime) -> None:
    """Mark recipients elsewhere whom the sender's domain sends nothing, of what our own people have handed in.

    Also where RCPT refuses: the drop folder and commands have none. One look at the directory for all, and a query for
    500 recipients where a domain wants it; none otherwise. Raises django.db.Error.
    """
    by_domain: dict[str, list[LeasedEntry]] = {}
    for entry in entries:
        if entry.sender and entry.origin in HANDED_IN:
            by_domain.setdefault(suppression.domain_of_sender(entry.sender), []).append(entry)
    strict = suppression.domains_that(by_domain, *_STRICT) if by_domain else set()
    if not strict:
        return
    wanted = {
        (entry.id, one.id): (domain, key_of(one.address))
        for domain in strict
        for entry in by_domain[domain]
        if says_ours(entry)
        for one in entry.recipients
        if one.kind is Kind.REMOTE and not suppression.is_exempt(one.address)
    }
    found = suppression.find(set(wanted.values()), now) if wanted else {}
    if not found:
        return
    for entry in (entry for domain in strict for entry in by_domain[domain]):
        refused = {
            one.id: f"550 5.7.1 <{one.address}>: {suppression.sentence(row)}"
            for one in entry.recipients
            if (row := found.get(wanted.get((entry.id, one.id), ("", "")))) is not None
        }
        entry.refused = refused or None


def note_dead(reports: Sequence[DeliveryReport], now: datetime) -> None:
    """Write down who bounced for good or complained, by answers of hosts and by reports. Never raises: what is recorded
    of a delivery does not depend on it."""
    findings = [one for report in reports for one in _findings(report)]
    if not findings:
        return
    try:
        with statements.write_transaction():
            suppression.note(findings, now)
    except DatabaseError as error:
        log.error("%d suppressed addresses could not be written down: %s", len(findings), error)


def _findings(report: DeliveryReport) -> Iterator[Finding]:
    entry = report.entry
    if entry.sender and entry.origin != Origin.FORWARD.value:
        for result in report.results:
            if (
                result.outcome is Outcome.BOUNCED
                and result.answered
                and result.status_code in DEAD
                and (entry.origin == Origin.LIST.value or says_ours(entry))
            ):
                domain = suppression.domain_of_sender(entry.sender)
                yield Finding(domain, result.recipient.address, SuppressionReason.BOUNCE, result.reply)
    yield from report.findings
