"""The database side of a pass: recording results and taking leases, from one thread.

Nothing here gives up on a result: while the database is away it is tried again, and what one bad row would spoil for
all is recorded entry by entry.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from django.db import DataError, IntegrityError, InterfaceError, OperationalError, close_old_connections, connection
from django.db import Error as DatabaseError
from django.utils import timezone

from base import clock
from base.edges import OUTAGES
from spool.delivery import sources
from spool.delivery.remote import rests
from spool.delivery.remote.rests import Known
from spool.delivery.routes import RoutingTable, cached_table
from spool.delivery.shaping import limits, rules, warm_up
from spool.delivery.shaping.limits import Table
from spool.delivery.shaping.rules import RuleBook
from spool.delivery.shaping.warm_up import NO_PLAN, Plan
from spool.delivery.sources import Sources
from spool.events import decisions, mail_log
from spool.events.mail_log import Event
from spool.files import marks, working
from spool.flow import late_results, leases, outcomes
from spool.flow.lanes import Want
from spool.flow.list_fields import add_list_fields
from spool.flow.passing_on import rewrite_senders
from spool.flow.suppressing import refuse_suppressed
from spool.flow.takeover import Takeover
from spool.message.envelope import DeliveryReport, LeasedEntry
from spool.message.summary import storable
from spool.models.entry import Priority, Status
from spool.models.recipient import Kind, Outcome
from spool.models.settings import Settings, current
from spool.places import contents
from spool.rows import contents as content_rows
from spool.rows import lease, rest, statements
from spool.rows.journal import LONGEST_REPLY
from spool.signing.ring import KeyRing, cached_ring
from spool.stages import DeliveryDelay, Stage, WaitUntil

log = logging.getLogger(__name__)

MOST_FAILURES = 3
SAY_SECONDS = 60.0
FIRST_FAILURE_PAUSE = timedelta(seconds=60)
# How long results are held that the database refuses. Leases have lapsed long before.
PATIENCE_SECONDS = 600.0
# The same while it does not answer: what they say was delivered must not be sent again once it does.
PATIENCE_WHILE_AWAY_SECONDS = 24 * 3600.0
# How often somebody without the files of the others looks at what is due.
ELSEWHERE_PAUSE = timedelta(seconds=2)
# Leases that took longer to be written are not worked on.
MOST_LATE_SECONDS = leases.LEASE.total_seconds() / 2


@dataclass(frozen=True, slots=True)
class Failure:
    """An entry that made a stage or a delivery raise."""

    entry: LeasedEntry
    traceback: str


@dataclass(slots=True)
class Round:
    """What one visit to the database brought.

    `more`: the batch was full, so there is probably more that is due; `more_local`: so it is with mail for this server;
    `low_waits`: there is more of low priority, for which no room was left; `no_local`: none is for this server.
    """

    settings: Settings
    routes: RoutingTable
    keys: KeyRing
    limits: Table
    rules: RuleBook
    sources: Sources
    plan: Plan
    # Of hosts that rest, what others have written since the last round.
    resting: Sequence[Known] = ()
    leased: list[LeasedEntry] = field(default_factory=list)
    next_due: datetime | None = None
    more: bool = False
    more_local: bool = False
    low_waits: bool = False
    no_local: bool = False
    stages: list[Stage] = field(default_factory=list)
    # What was leased, and could not be made ready.
    failed: list[Failure] = field(default_factory=list)

    @property
    def straight(self) -> bool:
        """Whether no stage but the delay stands before delivery."""
        return all(isinstance(stage, DeliveryDelay) for stage in self.stages)


def _complete(entries: Sequence[LeasedEntry], settings: Settings, now: datetime) -> None:
    """Look up what is to be known of entries before they go on."""
    if settings.rewrite_forwarded_senders:
        rewrite_senders(entries)
    add_list_fields(entries)
    refuse_suppressed(entries, now)


class Rounds:
    """The visits of one pass."""

    def __init__(self, owner: str, stages: Sequence[Stage]) -> None:
        self._owner = owner
        self._stages = stages
        self._writer = contents.writer()
        self._takeover = Takeover(owner, self._record)
        self.copies = working.Copies(owner)
        self._said_missing = -SAY_SECONDS
        # Whether anything may be early: otherwise it is not looked for with each lease.
        self._early = True

    def visit(
        self,
        finished: Sequence[DeliveryReport],
        failed: Sequence[Failure],
        resting: Sequence[tuple[LeasedEntry, WaitUntil]],
        want: Want,
        later: Sequence[Callable[[], None]] = (),
    ) -> Round:
        """Record what is given, then do what was left for `later` and lease what is wanted.

        Raises django.db.Error when the last two failed, which are one transaction.
        """
        if finished:
            self._record(finished)
        if failed:
            self._insistently(lambda: self._set_aside(failed))
        if resting:
            self._insistently(lambda: self._rest(resting))
        noted = [report.entry for report in finished if report.entry.notes and report.waits]
        noted += [entry for entry, _ in resting if entry.notes] + [one.entry for one in failed if one.entry.notes]
        if noted:
            self._remember(noted)
        try:
            here = Round(
                current(),
                cached_table(),
                cached_ring(),
                limits.cached(),
                rules.cached(),
                (own := sources.cached()),
                warm_up.cached() if own else NO_PLAN,
                rests.look(),
            )
            may_take = self._spool_is_there()
            if want and may_take:
                here.stages = [stage for stage in self._stages if stage.prepare()]
                here.leased = self._lease(want, here, later, lapsed=self._takeover.look())
            elif later:
                with statements.relaxed_transaction():
                    for write in later:
                        write()
            if not here.more and may_take:
                here.next_due = self._next_due(low=not here.low_waits)
                if not here.leased and here.next_due is not None and leases.without_files():
                    # Nor does anybody here take what is in files elsewhere.
                    here.next_due = max(here.next_due, timezone.now() + ELSEWHERE_PAUSE)
                if not here.leased and here.next_due is not None and clock.steps().within(leases.LEASE.total_seconds()):
                    # What looks due may be held by others: not before the next look.
                    here.next_due = None
            return here
        except DatabaseError:
            connection.close()
            raise

    def _next_due(self, *, low: bool) -> datetime | None:
        due, early = lease.earliest(low=low)
        self._early = early is not None
        return lease.sooner(due, early)

    def _spool_is_there(self) -> bool:
        """Without the spool each message would use up its attempts, and come back to its sender at last."""
        try:
            marks.require(marks.SPOOL)
        except marks.NotOurFolder as error:
            if time.monotonic() - self._said_missing >= SAY_SECONDS:
                self._said_missing = time.monotonic()
                log.error("nothing is delivered: %s", error)
            return False
        return True

    def _lease(
        self, want: Want, here: Round, later: Sequence[Callable[[], None]], *, lapsed: bool
    ) -> list[LeasedEntry]:
        no_delay = here.settings.delivery_delay_seconds == 0
        with statements.holders_transaction():
            for write in later:
                write()
            # Only now: others may have had to be waited for, and a lease is no longer for that.
            now, began = timezone.now(), clock.steady()
            lapsed = lapsed and not clock.steps().within(leases.LEASE.total_seconds())
            take = partial(
                leases.take,
                self._owner,
                now,
                straight=here.straight,
                no_delay=no_delay,
                lapsed=lapsed,
                early=self._early,
            )
            leased: list[LeasedEntry] = []
            if want.entries:
                leased = take(limit=want.entries, low=want.low, reserved=want.reserved)
                here.more = len(leased) >= want.entries - want.reserved
                lows = sum(entry.priority <= Priority.LOW for entry in leased)
                here.low_waits = want.low < want.entries and lows >= want.low
            if want.local and (here.more or here.low_waits or not want.entries):
                local = take(limit=want.local, only_local=True)
                here.more_local, here.no_local = len(local) >= want.local, not local
                leased += local
        if leased and clock.steady() - began > MOST_LATE_SECONDS:
            # This process was asleep, or the disk was. Another one may have the entries already, or soon.
            log.error("%d leases took too long to be written: they are given back", len(leased))
            leases.give_back(self._owner, [entry.id for entry in leased], timezone.now())
            return []
        self._bound(leased, want.held_bytes)
        return self._completed(leased, here, now)

    def _completed(self, leased: list[LeasedEntry], here: Round, now: datetime) -> list[LeasedEntry]:
        """The entries with what is looked up for them. One with which that fails is a failure of its own: a pass that
        ended by it would be followed by another one, for ever. Raises OperationalError and InterfaceError."""
        try:
            _complete(leased, here.settings, now)
            return leased
        except OUTAGES:
            raise
        except Exception as error:  # the edge of a message
            log.error("%d messages could not be made ready together: %r", len(leased), error)
        good = []
        for entry in leased:
            try:
                _complete([entry], here.settings, now)
                good.append(entry)
            except OUTAGES:
                raise
            except Exception:  # the edge of a message
                here.failed.append(Failure(entry, traceback.format_exc()))
        return good

    def _bound(self, leased: Sequence[LeasedEntry], room_bytes: int) -> None:
        """Give files, or copies of their rows, to those for whose content there is no room in memory."""
        beyond: list[LeasedEntry] = []
        for entry in leased:
            if entry.content is not None:
                room_bytes -= len(entry.content)
                if room_bytes < 0:
                    beyond.append(entry)
        if beyond and (written := contents.write_files_if_possible(beyond)):
            with statements.write_transaction():
                content_rows.remove(written)
            for entry in beyond:
                if entry.id in written:
                    entry.content = None
        for entry in beyond:
            if entry.content is not None:
                self._copy(entry)

    def _copy(self, entry: LeasedEntry) -> None:
        try:
            contents.copy_to(entry, self.copies)
        except OSError as error:
            log.error("%s stays in memory: %s", entry.file_name, error)

    def mark(self, entry_ids: Sequence[int], status: Status | None) -> None:
        """Show where entries in work are: in a stage, or on their way out. Raises django.db.Error."""
        try:
            # A power cut may take it: it is only for those who watch.
            with statements.relaxed_transaction():
                lease.mark(self._owner, entry_ids, status)
        except DatabaseError:
            connection.close()
            raise

    def renew(self, entries: Sequence[LeasedEntry]) -> None:
        """Keep the leases of entries in work. Raises django.db.Error."""
        try:
            leases.renew(self._owner, entries)
        except DatabaseError:
            connection.close()
            raise

    def wake(self, domains: Sequence[str], error_groups: Sequence[str], limit: int) -> int:
        """Have at most `limit` tried now that wait for a host which is back; how many. Raises django.db.Error."""
        try:
            with statements.relaxed_transaction():
                return rest.wake(domains, error_groups, timezone.now(), limit)
        except DatabaseError:
            connection.close()
            raise

    def give_back(self, entry_ids: Sequence[int]) -> None:
        """Let other workers have entries on which nothing was done."""
        self._insistently(lambda: leases.give_back(self._owner, entry_ids, timezone.now()))

    def close(self) -> None:
        self._writer.close()
        self.copies.close()
        close_old_connections()

    def _record(self, finished: Sequence[DeliveryReport]) -> None:
        try:
            self._insistently(lambda: self._record_now(finished))
        except Exception as error:  # the edge of recording: one bad result must not take the others along
            log.error("a batch of %d results could not be recorded together: %r", len(finished), error)
            for report in finished:
                self._record_alone(report)

    def _record_now(self, finished: Sequence[DeliveryReport]) -> None:
        outcomes.record(self._owner, finished, self._writer, current(), timezone.now(), self._inherit, rules.cached())

    def _inherit(self, children: Sequence[tuple[int, LeasedEntry]]) -> None:
        for stage in self._stages:
            stage.inherit(children)

    def _record_alone(self, report: DeliveryReport) -> None:
        try:
            self._insistently(lambda: self._record_now([report]))
        except Exception:  # the poison rule
            log.exception("%s: its results could not be recorded", report.entry.file_name)
            failure = Failure(report.entry, traceback.format_exc())
            self._keep_deliveries(report)
            self._insistently(lambda: self._set_aside([failure]))

    def _keep_deliveries(self, report: DeliveryReport) -> None:
        """Record at least whom another server has taken the message for: they must not get it again.

        What was delivered here may have been so by new messages that were not made.
        """
        safe = [r for r in report.results if r.outcome is Outcome.DELIVERED and r.recipient.kind is Kind.REMOTE]

        def keep() -> None:
            with statements.write_transaction():
                late_results.record([DeliveryReport(report.entry, safe, report.attempts)], timezone.now())

        try:
            self._insistently(keep)
        except Exception:  # it is these rows that can't be written
            log.exception("%s: who was delivered could not be recorded", report.entry.file_name)

    def _insistently(self, work: Callable[[], None]) -> None:
        """Do `work` until the database takes it: a recipient that a remote host has accepted must not be forgotten."""
        pause = 0.2
        began = time.monotonic()
        while True:
            try:
                work()
                return
            except (DataError, IntegrityError):
                # No use in trying again: it is about the rows.
                connection.close()
                raise
            except DatabaseError as error:
                connection.close()
                is_away = isinstance(error, OperationalError | InterfaceError)
                if time.monotonic() - began > (PATIENCE_WHILE_AWAY_SECONDS if is_away else PATIENCE_SECONDS):
                    raise
                log.error("the database does not take results, trying again: %s", error)
                time.sleep(pause)
                pause = min(pause * 2, 5.0)

    def _remember(self, entries: Sequence[LeasedEntry]) -> None:
        """Have the stages write down what they know of entries that come by again. It is no loss if they can't."""
        try:
            for stage in self._stages:
                stage.remember(entries)
        except DatabaseError as error:
            connection.close()
            log.warning("what is known of %d entries could not be written down: %s", len(entries), error)

    def _set_aside(self, failed: Sequence[Failure]) -> None:
        """Poison: back off, and after a few failures hold the entry with its traceback. It never stops the others."""
        now = timezone.now()
        events: list[Event] = []
        written = contents.write_files_if_possible([failure.entry for failure in failed])
        ours: set[int] = set()
        with statements.write_transaction():
            for failure in failed:
                entry = failure.entry
                count = entry.failures + 1
                held = count >= MOST_FAILURES
                next_try = None if held else now + FIRST_FAILURE_PAUSE * 2 ** (count - 1)
                why = failure.traceback.strip().rpartition("\n")[2]
                if rest.set_aside(
                    self._owner,
                    entry.id,
                    failures=count,
                    traceback=failure.traceback[-20_000:].replace("\x00", ""),
                    due=next_try,
                    hold_reason=f"Set aside after {count} errors; see its traceback." if held else "",
                    error=why[:500].replace("\x00", ""),
                ):
                    ours.add(entry.id)
                    events.append(decisions.failed(entry, count, why, next_try))
            content_rows.remove([number for number in written if number in ours])
        mail_log.write_all(events)

    def _rest(self, resting: Sequence[tuple[LeasedEntry, WaitUntil]]) -> None:
        rested: list[tuple[LeasedEntry, WaitUntil]] = []
        written = contents.write_files_if_possible([entry for entry, _ in resting])
        with statements.write_transaction():
            for entry, verdict in resting:
                reason = storable(verdict.reason, LONGEST_REPLY)
                if rest.rest(self._owner, entry.id, verdict.status, verdict.due, reason):
                    rested.append((entry, verdict))
            ours = {entry.id for entry, _ in rested}
            content_rows.remove([number for number in written if number in ours])
        if mail_log.is_on():
            mail_log.write_all(decisions.resting(rested))
