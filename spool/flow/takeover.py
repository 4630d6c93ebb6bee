"""What a pass that died was answered: recorded by whoever may take over its leases, before anything is sent again.

Of entries that the dead pass still holds the outcomes are recorded as it would have; those that others hold by now
learn who was delivered (spool.flow.late_results). Files of a pass that is there but silent, asleep for longer than its
leases, are read as well, and so are those from before the machine was started anew: of these only what has lapsed is
taken.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final

from django.utils import timezone

from base import clock
from base.edges import one_of_many
from base.file_locks import try_lock
from spool.delivery import answers
from spool.delivery.answers import Answer, Left
from spool.flow import late_results, leases
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult
from spool.models.recipient import Outcome
from spool.rows import lease, statements

log = logging.getLogger(__name__)

# A worker's death is seen by then, long before its leases lapse.
LOOK_SECONDS: Final = 1.0
# Somebody who takes over and does not come to an end is waited for no longer than this.
_PATIENCE_SECONDS: Final = 60.0
_INTERRUPTED: Final = "the worker ended before this one's turn"

Record = Callable[[Sequence[DeliveryReport]], None]


class Takeover:
    """One pass's. `record` records reports of entries that it holds."""

    def __init__(self, owner: str, record: Record) -> None:
        self._owner = owner
        self._record = record
        self._looked = float("-inf")
        self._kept_out: float | None = None

    def look(self) -> bool:
        """Record what the dead were answered; whether leases that have lapsed may be taken now.

        They may not while another pass is about to record just that. Raises django.db.Error.
        """
        now = clock.steady()
        if 0 <= now - self._looked < LOOK_SECONDS:
            return True
        if paths := answers.paths(self._owner):
            with _alone() as is_alone:
                if not is_alone:
                    self._kept_out = now if self._kept_out is None else self._kept_out
                    return now - self._kept_out > _PATIENCE_SECONDS
                for path in paths:
                    try:
                        left = answers.read(path)
                    except OSError as error:
                        log.error("%s could not be read, some mail may be sent again: %s", path, error)
                        continue
                    if left is not None:
                        # One file of answers must not keep all mail from being taken up.
                        with (
                            closing(left),
                            one_of_many(log, "%s could not be recorded, some mail may be sent again", path),
                        ):
                            self._settle(left)
        self._looked, self._kept_out = now, None
        return True

    def _settle(self, left: Left) -> None:
        ids = list({answer.entry_id for answer in left.answers})
        held = lease.held_by(left.owner, ids)
        if held:
            reports = [_report(entry, left.answers) for entry in self._take(left, sorted(held))]
            reports = [report for report in reports if report.results]
            if reports:
                log.warning(
                    "%d messages were answered for before %s ended: recorded, not sent again", len(reports), left.owner
                )
                self._record(reports)
        if others := [entry_id for entry_id in ids if entry_id not in held]:
            _tell_others(others, left.answers)
        if left.is_dead or (left.is_free and not lease.held_by(left.owner, ids)):
            left.remove()

    def _take(self, left: Left, ids: Sequence[int]) -> list[LeasedEntry]:
        if not left.is_dead and clock.steps().within(leases.LEASE.total_seconds()):
            return []
        with statements.write_transaction():
            return leases.take_over(left.owner, self._owner, ids, timezone.now(), only_lapsed=not left.is_dead)


def _tell_others(ids: Sequence[int], noted: Sequence[Answer]) -> None:
    """Entries that are not the dead pass's any more: who was delivered is not to get them again."""
    entries = [*leases.look_at(ids), *leases.look_at(ids, trashed=True)]
    reports = [_report(entry, noted) for entry in entries]
    for report in reports:
        report.results = [result for result in report.results if result.outcome is Outcome.DELIVERED]
    reports = [report for report in reports if report.results]
    if reports:
        with statements.write_transaction():
            late_results.record(reports, timezone.now())


def _report(entry: LeasedEntry, noted: Sequence[Answer]) -> DeliveryReport:
    """What is known of `entry`; its other recipients are to be tried at once. No results when nothing is."""
    report = DeliveryReport(entry)
    settled: set[int] = set()
    for answer in noted:
        if (answer.entry_id, answer.file_name) != (entry.id, entry.file_name):
            continue
        results = answer.results_for(one for one in entry.recipients if one.id not in settled)
        if results:
            settled.update(result.recipient.id for result in results)
            report.extend(results, answer.attempt)
    if report.results and len(settled) < len(entry.recipients):
        report.is_interrupted = True
        report.results += [
            RecipientResult(recipient, Outcome.PENDING, _INTERRUPTED, "4.3.2")
            for recipient in entry.recipients
            if recipient.id not in settled
        ]
    return report


@contextmanager
def _alone() -> Iterator[bool]:
    """One pass at a time; whether this is the one."""
    try:
        lock = os.open(answers.folder() / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.ENOENT:
            log.error("what other workers were answered can't be read: %s", error)
        # With the folder gone there is nothing to read.
        yield True
        return
    try:
        yield try_lock(lock)
    finally:
        os.close(lock)
