"""Writing down what delivery did: outcomes, attempts, traces, retries and notices, many entries in one transaction.

The order that loses nothing: files of new messages (notices, forwards, list copies) are made durable first; then one
transaction records every outcome and inserts their rows; only then do the files of finished entries go.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings as django_settings

from spool import intake, statements, store
from spool.addressing import RefusedRecipient, accept
from spool.dsn.compose import LARGEST_RETURNED_BYTES
from spool.dsn.notices import Notice, notices_for
from spool.envelope import DeliveryReport, Envelope, LeasedEntry, RecipientResult, Submission
from spool.headers import storable
from spool.models.bounce import ReceivedBounce
from spool.models.entry import Origin, Status
from spool.models.recipient import Kind, Outcome
from spool.models.settings import Settings
from spool.schedule import RetrySchedule, due_after, notice_is_due

log = logging.getLogger(__name__)

LONGEST_REPLY = 500
_FULL_PAUSE: Final = timedelta(seconds=60)


@dataclass(slots=True)
class Decision:
    """What one report means for its entry: final results, those that wait until `due`, and new messages."""

    report: DeliveryReport
    final: list[RecipientResult]
    waiting: list[RecipientResult]
    due: datetime | None
    dns_failures: int
    delay_notified: bool
    spawned: list[Submission] = field(default_factory=list)


def decide(report: DeliveryReport, settings: Settings, now: datetime) -> Decision:
    """Apply the retry schedule and the bounce rules to one report."""
    entry = report.entry
    waiting = [result for result in report.results if result.outcome is Outcome.PENDING]
    if not waiting:
        decision = Decision(report, report.results, waiting, None, 0, entry.delay_notified, list(report.spawned))
        _notify(decision, settings, now, None)
        return decision
    final = [result for result in report.results if result.outcome is not Outcome.PENDING]
    dns_failures = entry.dns_failures + 1 if all(result.dns for result in waiting) else 0
    schedule = RetrySchedule(settings.retry_intervals, settings.lifetime)
    due = due_after(entry.attempts + 1, schedule, entry.created, now)
    if 0 < settings.dns_failure_limit <= dns_failures:
        due = None
    if due is None:
        final += [replace(result, outcome=Outcome.EXPIRED) for result in waiting]
        waiting = []
    late = bool(waiting) and notice_is_due(entry.created, now, settings.delay_notice_hours, entry.delay_notified)
    decision = Decision(report, final, waiting, due, dns_failures, entry.delay_notified or late, list(report.spawned))
    _notify(decision, settings, now, schedule.expires(entry.created) if late else None)
    return decision


def _notify(decision: Decision, settings: Settings, now: datetime, delayed_until: datetime | None) -> None:
    """Add the delivery status notifications that the results call for."""
    entry = decision.report.entry
    results = decision.final + (decision.waiting if delayed_until else [])
    if not entry.sender or not any(
        result.outcome is not Outcome.DELIVERED or "SUCCESS" in result.recipient.notify for result in results
    ):
        return
    hostname = django_settings.MAILSPOOL_HOSTNAME
    notices = notices_for(
        entry,
        results,
        now=now,
        hostname=hostname,
        postmaster=settings.postmaster or f"postmaster@{hostname}",
        delayed_until=delayed_until,
        # A larger message goes back as its header: there is no use in reading more of it.
        read=lambda: entry.read_head(LARGEST_RETURNED_BYTES + 1),
    )
    decision.spawned += [submission for notice in notices if (submission := _submission(notice, entry)) is not None]


def _submission(notice: Notice, entry: LeasedEntry) -> Submission | None:
    """A notice as a message to the reverse-path, from the null sender; None when that address takes no mail."""
    try:
        recipients = accept(notice.to, notify="NEVER")
    except RefusedRecipient as error:
        log.warning("%s: no notice to its sender: %s", entry.file_name, error.reply)
        return None
    envelope = Envelope("", recipients, origin=Origin.DSN, smtputf8=notice.smtputf8, eight_bit=notice.eight_bit)
    return Submission(
        envelope, notice.content, subject=storable(notice.subject), message_id=storable(notice.message_id)
    )


def record(
    owner: str, reports: Sequence[DeliveryReport], writer: store.Writer, settings: Settings, now: datetime
) -> None:
    """Commit `reports` of entries that `owner` holds, then remove the files of those that ended.

    Raises django.db.Error when the database fails; then nothing was recorded, and calling again is safe.
    """
    decisions = [decide(report, settings, now) for report in reports]
    stored = _store_spawned(decisions, writer, settings, now)
    finished = [decision for decision in decisions if not decision.waiting]
    ids = [decision.report.entry.id for decision in finished]
    with statements.write_transaction():
        held = statements.remove_entries(owner, ids) if ids else set()
        if held:
            statements.remove_recipients(list(held))
        held |= _keep_waiting(owner, [d for d in decisions if d.waiting], now)
        lost = [decision for decision in decisions if decision.report.entry.id not in held]
        if lost:
            _record_outcomes(lost)
        _log(decisions, held, now)
        if stored is not None:
            dropped = _insert_spawned(decisions, held, stored, now, settings)
    gone = [decision.report.entry for decision in finished if decision.report.entry.id in held]
    for entry in gone:
        store.unlink(entry.path)
    if stored is not None:
        for name in dropped:
            store.unlink(store.path_of(stored.subspool, name))


def _store_spawned(
    decisions: list[Decision], writer: store.Writer, settings: Settings, now: datetime
) -> intake.Stored | None:
    """Make the files of all new messages durable.

    With no room for them, what depends on them is taken back: bounces and local results wait a minute, while
    recipients that a remote host has accepted stay delivered.
    """
    submissions = [submission for decision in decisions for submission in decision.spawned]
    if not submissions:
        return None
    try:
        return intake.write_files(writer, submissions, settings)
    except intake.IntakeError as error:
        for decision in decisions:
            if decision.spawned:
                _take_back(decision, error, now)
        return None


def _take_back(decision: Decision, error: intake.IntakeError, now: datetime) -> None:
    kept: list[RecipientResult] = []
    undone: list[RecipientResult] = []
    for result in decision.final:
        safe = result.outcome is Outcome.DELIVERED and result.recipient.kind is Kind.REMOTE
        (kept if safe else undone).append(result)
    decision.final = kept
    decision.waiting += [replace(result, outcome=Outcome.PENDING, reply=error.reply) for result in undone]
    decision.due = now + _FULL_PAUSE
    decision.delay_notified = decision.report.entry.delay_notified
    decision.spawned = []


def _insert_spawned(
    decisions: list[Decision], held: set[int], stored: intake.Stored, now: datetime, settings: Settings
) -> list[str]:
    """Insert new messages whose entries are still ours; returns the file names of the others."""
    ours = intake.Stored([], [], stored.subspool)
    dropped: list[str] = []
    position = 0
    for decision in decisions:
        for submission in decision.spawned:
            name = stored.file_names[position]
            position += 1
            if decision.report.entry.id in held:
                ours.submissions.append(submission)
                ours.file_names.append(name)
            else:
                dropped.append(name)
    if ours.submissions:
        intake.insert_rows(ours, now, settings)
    return dropped


def _keep_waiting(owner: str, decisions: Sequence[Decision], now: datetime) -> set[int]:
    """Put entries with open recipients back to wait; returns those that were still ours."""
    held = set()
    for decision in decisions:
        entry = decision.report.entry
        delivered = sum(result.outcome is Outcome.DELIVERED for result in decision.final)
        due = statements.db_time(decision.due)
        updated = statements.execute(
            "UPDATE spool_entry SET status = %s, attempts = %s, dns_failures = %s, recipients_done = %s,"
            " next_attempt = %s, due_at = CASE WHEN hold THEN NULL ELSE %s END, leased_by = '', last_error = %s,"
            " delay_notified = %s WHERE id = %s AND leased_by = %s RETURNING id",
            (
                Status.WAITING.value, entry.attempts + 1, decision.dns_failures, entry.recipients_done + delivered,
                due, due, storable(decision.waiting[0].reply, LONGEST_REPLY), decision.delay_notified, entry.id, owner,
            ),
        )  # fmt: skip
        if updated.fetchall():
            held.add(entry.id)
    _record_outcomes([decision for decision in decisions if decision.report.entry.id in held])
    return held


def _record_outcomes(decisions: Sequence[Decision]) -> None:
    """Write the state of each recipient of entries that stay: what was delivered is never tried again."""
    rows = [
        (
            result.outcome.value, storable(result.reply, LONGEST_REPLY), storable(result.host, 255),
            result.recipient.id,
        )
        for decision in decisions
        for result in [*decision.final, *decision.waiting]
    ]  # fmt: skip
    if rows:
        statements.execute_many(
            "UPDATE spool_recipient SET status = %s, last_reply = %s, last_host = %s WHERE id = %s", rows
        )


def _log(decisions: Sequence[Decision], held: set[int], now: datetime) -> None:
    """Add attempts for all, and traces and received bounces for entries that were ours to finish."""
    ended = statements.db_time(now)
    attempts: list[statements.Row] = []
    traces: list[statements.Row] = []
    bounces: list[ReceivedBounce] = []
    for decision in decisions:
        entry = decision.report.entry
        for attempt in decision.report.attempts:
            attempts.append(
                (
                    entry.file_name, statements.db_time(attempt.at), "\n".join(attempt.recipients),
                    storable(attempt.host, 255), attempt.ip, attempt.tls[:60], attempt.code,
                    storable(attempt.reply, LONGEST_REPLY), attempt.seconds,
                )
            )  # fmt: skip
        if entry.id not in held:
            continue
        bounces += decision.report.bounces
        created = statements.db_time(entry.created)
        for result in decision.final:
            recipient = result.recipient
            traces.append(
                (
                    entry.file_name, entry.sender, recipient.address, recipient.kind.value, result.outcome.value,
                    storable(result.reply, LONGEST_REPLY), storable(result.host, 255), entry.auth_user,
                    entry.client_ip, entry.subject, entry.message_id, entry.size_bytes, entry.attempts + 1, created,
                    ended,
                )
            )  # fmt: skip
    if attempts:
        statements.insert("spool_attempt", statements.ATTEMPT_COLUMNS, attempts)
    if traces:
        statements.insert("spool_trace", statements.TRACE_COLUMNS, traces)
    if bounces:
        ReceivedBounce.objects.bulk_create(bounces)
