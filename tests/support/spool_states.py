"""Brings entries into the states that pages show, by the code that does it in life: intake, leases, completion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from spool.files import store
from spool.flow import intake, leases, outcomes
from spool.message.envelope import AttemptRecord, DeliveryReport, RecipientResult, Submission
from spool.models import Entry, Outcome
from spool.models.settings import Settings
from spool.rows import statements
from tests.support.messages import a_submission

OWNER = "tests:1"


def take_in(*submissions: Submission) -> list[Entry]:
    """Accept messages; their entries, in order."""
    names = intake.accept(list(submissions) or [a_submission()])
    rows = {entry.file_name: entry for entry in Entry.objects.filter(file_name__in=names)}
    return [rows[name] for name in names]


def attempt(
    entries: Sequence[Entry],
    reply: str = "450 4.2.0 Greylisted, try again later",
    *,
    host: str = "mx1.example.net",
    ip: str = "192.0.2.25",
    outcome: Outcome = Outcome.PENDING,
    only: Sequence[str] = (),
) -> None:
    """One attempt at each of `entries`: a worker takes them and records what the host said.

    `reply` without a code in front means that no reply came. With `only`, the others of the recipients are delivered.
    """
    wanted = {entry.pk for entry in entries}
    Entry.objects.filter(pk__in=wanted).update(due_at=timezone.now() - timedelta(seconds=1))
    now = timezone.now()
    with statements.write_transaction():
        leased = leases.take(OWNER, now, 10_000, straight=True, no_delay=True)
    mine = [entry for entry in leased if entry.id in wanted]
    others = [entry.id for entry in leased if entry.id not in wanted]
    if others:
        leases.give_back(OWNER, others, now)
    code = int(reply[:3]) if reply[:3].isdigit() else 0
    reports = []
    for entry in mine:
        report = DeliveryReport(entry)
        addresses = tuple(recipient.address for recipient in entry.recipients)
        report.extend(
            [
                RecipientResult(
                    recipient,
                    outcome if not only or recipient.address in only else Outcome.DELIVERED,
                    reply if not only or recipient.address in only else "250 2.1.5 Ok",
                    host=host,
                )
                for recipient in entry.recipients
            ],
            AttemptRecord(
                now,
                addresses,
                host,
                ip if code else "",
                "TLSv1.3 TLS_AES_256_GCM_SHA384" if code else "",
                code,
                reply,
                0.42,
            ),
        )
        reports.append(report)
    writer = store.Writer()
    try:
        outcomes.record(OWNER, reports, writer, Settings.load(), timezone.now())
    finally:
        writer.close()
