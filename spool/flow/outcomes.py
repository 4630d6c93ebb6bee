"""Writing down what delivery did: outcomes, attempts, traces, retries and notices, many entries in one transaction.

The order that loses nothing: files of new messages (notices, forwards, list copies) and of those that come to rest are
made durable first; then one transaction records every outcome and inserts their rows; only then do the files of
finished entries go. Content in rows goes in that transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from spool.delivery.replies import error_group
from spool.delivery.shaping.classes import about
from spool.delivery.shaping.rules import NO_RULES, RuleBook
from spool.events import decisions as decided
from spool.events import mail_log, results
from spool.files import removal, store
from spool.flow import intake, late_results
from spool.flow.notifications import notifications
from spool.flow.retry import RetrySchedule, due_after, notice_is_due, put_off_until
from spool.flow.suppressing import note_dead
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult, Recorded, Submission, WaitUntil
from spool.message.summary import storable
from spool.models.bounce import ReceivedBounce
from spool.models.entry import HANDED_IN, Origin, Status
from spool.models.mail_report import IncomingReport
from spool.models.recipient import Kind, Outcome
from spool.models.settings import Settings
from spool.monitoring import tally
from spool.places import contents, undecided
from spool.rows import contents as content_rows
from spool.rows import entries, recipients, rest, statements, traffic_batches
from spool.rows.columns import Row
from spool.rows.journal import LONGEST_REPLY, attempt_rows, insert_attempts, insert_traces, trace_rows

log = logging.getLogger(__name__)

_FULL_PAUSE: Final = timedelta(seconds=60)
# So many attempts of a message may be greylisted; a host that says so for ever is tried by the schedule.
MOST_GREYLISTED: Final = 3


@dataclass(slots=True)
class Decision:
    """What one report means for its entry: final results, those that wait until `due`, and new messages.

    `due` is None when nothing waits, apart from recipients that a stage held back.
    """

    report: DeliveryReport
    final: list[RecipientResult]
    waiting: list[RecipientResult]
    due: datetime | None
    dns_failures: int
    delay_notified: bool
    spawned: list[Submission] = field(default_factory=list)
    # Whoever waits was not tried, for their hosts rest: this was no attempt.
    is_put_off: bool = False

    @property
    def ends(self) -> bool:
        """Whether nobody is left to be tried."""
        return not self.waiting and self.report.entry.held_back is None


def decide(report: DeliveryReport, settings: Settings, now: datetime, rules: RuleBook = NO_RULES) -> Decision:
    """Apply the retry schedules and the bounce rules to one report.

    Recipients may be under different schedules: the entry is due by the earliest of those whose time is not over.
    """
    entry = report.entry
    waiting = [result for result in report.results if result.outcome is Outcome.PENDING]
    if not waiting:
        decision = Decision(report, report.results, waiting, None, 0, entry.delay_notified, list(report.spawned))
        _notify(decision, settings, now, None)
        return decision
    final = [result for result in report.results if result.outcome is not Outcome.PENDING]
    if report.is_interrupted:
        decision = Decision(report, final, waiting, now, entry.dns_failures, entry.delay_notified)
        _notify(decision, settings, now, None)
        return decision
    usual = RetrySchedule(settings.retry_intervals, settings.lifetime)
    by_schedule = _by_schedule(waiting, usual, rules) if rules.has_schedules else {usual: waiting}
    rests = [result.put_off for result in waiting if result.put_off is not None]
    is_put_off = len(rests) == len(waiting)
    dns_failures = entry.dns_failures
    if not is_put_off:
        dns_failures = entry.dns_failures + 1 if all(result.dns for result in waiting) else 0
    lasts = not 0 < settings.dns_failure_limit <= dns_failures
    waiting, dues, expires = [], [], entry.counted_from
    for schedule, alike in by_schedule.items():
        due = _due(entry, alike, schedule, now, is_put_off=is_put_off) if lasts else None
        if due is None:
            final += [replace(result, outcome=Outcome.EXPIRED) for result in alike]
        else:
            waiting += alike
            dues.append(due)
            expires = max(expires, schedule.expires(entry.counted_from))
    late = bool(waiting) and notice_is_due(entry.counted_from, now, settings.delay_notice_hours, entry.delay_notified)
    decision = Decision(
        report,
        final,
        waiting,
        min(dues, default=None),
        dns_failures,
        entry.delay_notified or late,
        list(report.spawned),
        is_put_off,
    )
    _notify(decision, settings, now, expires if late else None)
    return decision


def _by_schedule(
    waiting: Sequence[RecipientResult], usual: RetrySchedule, rules: RuleBook
) -> dict[RetrySchedule, list[RecipientResult]]:
    """Those that wait by the schedule that rules have for each, by its domain, its site, and what it was told."""
    found: dict[RetrySchedule, list[RecipientResult]] = {}
    for result in waiting:
        schedule = usual
        if result.recipient.kind is Kind.REMOTE:
            error = about(result.reply, result.status_code)
            schedule = usual.under(rules.of_mail(result.recipient.domain, result.site), error)
        found.setdefault(schedule, []).append(result)
    return found


def _due(
    entry: LeasedEntry, waiting: Sequence[RecipientResult], schedule: RetrySchedule, now: datetime, *, is_put_off: bool
) -> datetime | None:
    """When those are due who wait under one schedule; None when their time is over. `is_put_off`: nobody was tried."""
    if is_put_off:
        rests = min(result.put_off for result in waiting if result.put_off is not None)
        return put_off_until(rests, schedule, entry.counted_from, now)
    due = due_after(entry.attempts + 1, schedule, entry.counted_from, now)
    if due is None or schedule.is_for_error or entry.attempts >= MOST_GREYLISTED:
        return due
    again = [result.again for result in waiting if result.put_off is None]
    if again and all(at is not None for at in again):
        # Greylisting ends by itself, at a time of its own: the schedule is for what is wrong.
        due = min(due, max([now, *(at for at in again if at is not None)]))
    return due


def _notify(decision: Decision, settings: Settings, now: datetime, delayed_until: datetime | None) -> None:
    """Add the delivery status notifications that the results call for."""
    entry = decision.report.entry
    results = decision.final + (decision.waiting if delayed_until else [])
    if not entry.sender or not any(
        result.outcome is not Outcome.DELIVERED or "SUCCESS" in result.recipient.notify for result in results
    ):
        return
    decision.spawned += notifications(entry, results, settings, now, delayed_until)


def record(
    owner: str,
    reports: Sequence[DeliveryReport],
    writer: store.Writer,
    settings: Settings,
    now: datetime,
    inherit: Callable[[Sequence[tuple[int, LeasedEntry]]], None] | None = None,
    rules: RuleBook = NO_RULES,
) -> None:
    """Commit `reports` of entries that `owner` holds, then remove the files of those that ended.

    `inherit` is told in the same transaction of forwards and copies of lists: their ids, and what they are made of.

    Raises django.db.Error when the database fails; then nothing was recorded, and calling again is safe.
    """
    decisions = [decide(report, settings, now, rules) for report in reports]
    stored = _store_spawned(decisions, writer, settings, now)
    finished = [decision for decision in decisions if decision.ends]
    at_rest = contents.write_files_if_possible(
        [one.report.entry for one in decisions if not one.ends and not one.report.is_interrupted]
    )
    ids = [decision.report.entry.id for decision in finished]
    ended: list[Path] = []
    dropped: list[Path] = []
    without_file: set[int] = set()
    try:
        with statements.write_transaction():
            removed = entries.remove_finished(owner, ids) if ids else {}
            waiting = _keep_waiting(owner, [decision for decision in decisions if not decision.ends])
            held = removed | waiting
            settled = late_results.settled_by_others(reports, held)
            in_rows = [one.report.entry.id for one in finished if one.report.entry.is_in_rows]
            without_file = content_rows.remove([number for number in in_rows if number in removed])
            content_rows.remove([number for number in at_rest if number in waiting])
            if removed:
                recipients.remove(list(removed))
            if waiting:
                _record_outcomes([decision for decision in decisions if decision.report.entry.id in waiting])
            _log([decision for decision in decisions if decision.report.entry.id in held], settled, now)
            if len(held) < len(decisions):
                ended = late_results.record([report for report in reports if report.entry.id not in held], now)
            if stored is not None:
                dropped = intake.insert_rows(stored, now, settings, _of_those(decisions, held))
                if inherit is not None and (children := _children(decisions, stored)):
                    inherit(children)
    except BaseException as error:
        if stored is not None:
            intake.forsake(stored, error)
        raise
    try:
        note_dead(reports, now)
        _tell(list(_recorded(decisions, held, settled, stored)), now)
    except Exception:  # they are recorded, whatever becomes of this, and are not to be so again
        log.exception("results are recorded, but not all was told of them")
    undecided.settle()
    with_file = held.keys() - without_file
    ended += [decision.report.entry.path for decision in finished if decision.report.entry.id in with_file]
    remove = removal.remover()
    for path in [*ended, *dropped]:
        try:
            remove(path)
        except OSError as error:
            log.error("%s could not be removed, the doctor will find it: %s", path, error)


def _tell(recorded: Sequence[Recorded], now: datetime) -> None:
    """Count what is committed, and write it into the mail log."""
    tally.results(recorded, now)
    if mail_log.is_on():
        mail_log.write_all(results.events_of(recorded, now))
        held_back = ((one.entry, one.entry.held_back) for one in recorded)
        mail_log.write_all(decided.resting((entry, wait) for entry, wait in held_back if wait is not None))
        mail_log.write_all(decided.resting(_put_off(recorded)))


def _children(decisions: Sequence[Decision], stored: intake.Stored) -> list[tuple[int, LeasedEntry]]:
    """The ids of new entries that are made of others, each with what it is made of."""
    names = iter(stored.file_names)
    spawned = [(decision, submission, next(names)) for decision in decisions for submission in decision.spawned]
    return [
        (stored.entry_ids[name], decision.report.entry)
        for decision, submission, name in spawned
        if name in stored.entry_ids and submission.envelope.origin in (Origin.FORWARD, Origin.LIST)
    ]


def _recorded(
    decisions: Sequence[Decision], held: Collection[int], settled: Collection[int], stored: intake.Stored | None
) -> Iterator[Recorded]:
    """What is committed of the decisions on entries that were ours."""
    names = iter(stored.file_names if stored is not None else ())
    for decision in decisions:
        spawned = [(submission, next(names)) for submission in decision.spawned]
        entry = decision.report.entry
        if entry.id in held:
            final = [result for result in decision.final if result.recipient.id not in settled]
            yield Recorded(
                entry, decision.report.attempts, final, decision.waiting, decision.due, spawned, decision.ends
            )


def _put_off(recorded: Iterable[Recorded]) -> Iterator[tuple[LeasedEntry, WaitUntil]]:
    """Those of which nobody was tried, and until when."""
    for one in recorded:
        if one.due is not None and one.waiting and all(result.put_off is not None for result in one.waiting):
            first = one.waiting[0]
            local = first.recipient.kind is Kind.LOCAL
            status = Status.LOCAL_DELIVERY if local else Status.REMOTE_DELIVERY
            yield one.entry, WaitUntil(one.due, status, first.reply)


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


def _of_those(decisions: Sequence[Decision], held: Collection[int]) -> list[int]:
    """The positions of new messages, among those of all `decisions`, whose entries are still ours."""
    owners = [decision.report.entry.id for decision in decisions for _ in decision.spawned]
    return [position for position, entry_id in enumerate(owners) if entry_id in held]


def _keep_waiting(owner: str, decisions: Sequence[Decision]) -> dict[int, int]:
    """Put entries with open recipients back to wait; returns those that were still ours.

    Each comes with its count of delivered recipients, as it was before these results.
    """
    held = {}
    for decision in decisions:
        entry = decision.report.entry
        delivered = sum(result.outcome is Outcome.DELIVERED for result in decision.final)
        state = _state_of(decision)
        before = rest.wait(
            owner,
            entry.id,
            status=state.status,
            due=state.due,
            attempts=state.attempts,
            dns_failures=state.dns_failures,
            delivered=delivered,
            error=storable(state.error, LONGEST_REPLY),
            error_group=storable(state.error_group, 120),
            delay_notified=decision.delay_notified,
        )
        if before is not None:
            held[entry.id] = before
    return held


@dataclass(frozen=True, slots=True)
class _State:
    """How an entry waits."""

    status: Status
    due: datetime | None
    attempts: int
    dns_failures: int
    error: str
    error_group: str = ""


def _state_of(decision: Decision) -> _State:
    entry = decision.report.entry
    held_back = entry.held_back
    if decision.report.is_interrupted:
        status = Status.WAITING if entry.attempts else Status.DELIVERY_DELAY
        return _State(status, decision.due, entry.attempts, entry.dns_failures, "")
    if held_back is None:
        error, attempts = decision.waiting[0].reply, entry.attempts + (not decision.is_put_off)
        return _State(Status.WAITING, decision.due, attempts, decision.dns_failures, error, error_group(error))
    # Those who are held back have not been tried: it counts as no attempt, or their first would be taken for a retry.
    due = min(held_back.due, decision.due) if decision.waiting and decision.due is not None else held_back.due
    return _State(held_back.status, due, entry.attempts, entry.dns_failures, held_back.reason)


def _record_outcomes(decisions: Sequence[Decision]) -> None:
    """Write the state of each recipient of entries that stay: what was delivered is never tried again."""
    rows = [
        (
            result.outcome.value,
            storable(result.reply, LONGEST_REPLY),
            storable(result.host, 255),
            result.recipient.id,
        )
        for decision in decisions
        for result in [*decision.final, *decision.waiting]
    ]
    if rows:
        recipients.settle_all(rows)


def _log(decisions: Sequence[Decision], settled: Collection[int], now: datetime) -> None:
    """Add attempts, received bounces, and traces but for recipients that another pass has `settled`."""
    attempts: list[Row] = []
    traces: list[Row] = []
    bounces: list[ReceivedBounce] = []
    incoming: list[IncomingReport] = []
    deferred: list[traffic_batches.Deferral] = []
    for decision in decisions:
        entry = decision.report.entry
        attempts += attempt_rows(entry, decision.report.attempts)
        bounces += decision.report.bounces
        if decision.report.incoming is not None:
            incoming.append(decision.report.incoming)
        traces += trace_rows(entry, [r for r in decision.final if r.recipient.id not in settled], now)
        # Each message once, whatever becomes of it later, and whether it was tried or its host rests. What this server
        # made itself nobody handed in.
        is_first = not entry.attempts and not entry.error_group
        if decision.waiting and is_first and not decision.report.is_interrupted and entry.origin in HANDED_IN:
            domains = [r.recipient.domain for r in decision.waiting if r.recipient.kind is Kind.REMOTE]
            deferred.append((entry.auth_user, entry.sender, entry.client_ip, domains))
    if attempts:
        insert_attempts(attempts)
    if traces or deferred:
        insert_traces(traces, now, deferred)
    if bounces:
        # In one order, whoever writes; what another pass has counted meanwhile is not counted again.
        bounces.sort(key=lambda bounce: bounce.trace_id or 0)
        ReceivedBounce.objects.bulk_create(bounces, ignore_conflicts=True)
    if incoming:
        incoming.sort(key=lambda one: one.file_name)
        IncomingReport.objects.bulk_create(incoming, ignore_conflicts=True)
