"""Results that come when their entry is no longer this pass's: its lease lapsed, or a commit's answer was lost.

Who was delivered is never tried again, whoever delivered. Everything else is for the pass that holds the entry now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from django.db.models import F

from spool.events import mail_log, results
from spool.holders import holders
from spool.message.envelope import DeliveryReport, RecipientResult
from spool.message.summary import storable
from spool.models.attempt import Attempt
from spool.models.entry import Entry
from spool.models.recipient import Outcome
from spool.models.trace import Trace
from spool.models.trashed import Trashed
from spool.places import trash
from spool.rows import recipients
from spool.rows.columns import Row
from spool.rows.journal import LONGEST_REPLY, attempt_rows, insert_attempts, insert_traces, trace_rows


def record(reports: Sequence[DeliveryReport], now: datetime) -> list[Path]:
    """Write down who was delivered, inside the caller's transaction; returns the files of messages that have ended."""
    names = [report.entry.file_name for report in reports]
    # Locked first, as everyone does who records: the holder may be at it just now.
    entries = Entry.objects.filter(file_name__in=names).order_by("id").select_for_update()
    there = set(entries.values_list("id", flat=True))
    known = set(Attempt.objects.filter(file_name__in=names).values_list("file_name", "at"))
    attempts: list[Row] = []
    traces: list[Row] = []
    for report in reports:
        entry = report.entry
        # Those of a commit whose answer was lost are there already.
        attempts += attempt_rows(entry, (a for a in report.attempts if (entry.file_name, a.at) not in known))
        if entry.id in there:
            new = [result for result in report.results if result.outcome is Outcome.DELIVERED and _settle(result)]
            traces += trace_rows(entry, new, now)
            mail_log.after_commit(list(results.attempts_of(entry, new, report.attempts, now)))
            # By this the holder sees that somebody else has settled recipients.
            Entry.objects.filter(pk=entry.id).update(recipients_done=F("recipients_done") + len(new))
    if attempts:
        insert_attempts(attempts)
    if traces:
        insert_traces(traces, now)
    ended = set(Trace.objects.filter(file_name__in=names).values_list("file_name", flat=True))
    # The file of one that an administrator deleted is needed until the trash is emptied.
    trashed = set(Trashed.objects.filter(file_name__in=names).values_list("id", flat=True))
    for report in reports:
        trash.note_delivered(report, now)
    kept = there | trashed
    for holder in holders():
        held = holder.entry_ids(names)
        for report in reports:
            if report.entry.id in held:
                holder.note_delivered(report.entry.id, _delivered(report), now)
        kept |= held
    return [report.entry.path for report in reports if report.entry.id not in kept and report.entry.file_name in ended]


def settled_by_others(reports: Iterable[DeliveryReport], held: Mapping[int, int]) -> set[int]:
    """Recipients of entries that are ours which another pass has settled since we took them.

    `held` has each entry's count of delivered recipients, as it was before our own results.
    """
    changed = [
        report.entry.id
        for report in reports
        if held.get(report.entry.id, report.entry.recipients_done) != report.entry.recipients_done
    ]
    return recipients.settled(changed) if changed else set()


def _delivered(report: DeliveryReport) -> list[RecipientResult]:
    return [result for result in report.results if result.outcome is Outcome.DELIVERED]


def _settle(result: RecipientResult) -> bool:
    """Record a delivery, unless the recipient has an outcome; whether it had none."""
    return recipients.settle(
        result.recipient.id, result.outcome, storable(result.reply, LONGEST_REPLY), storable(result.host, 255)
    )
