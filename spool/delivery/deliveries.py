"""Where a pass hands its entries over: recipients to local or remote delivery, the results back as one report."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from django.conf import settings as django_settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from accounts.directory import LocalUser
from spool.delivery import bounces, complaints, incoming_reports
from spool.delivery.answers import AnswerFile
from spool.delivery.author_policies import PolicyLookups
from spool.delivery.local import plans as local_plans
from spool.delivery.remote.tls_sessions import Sessions
from spool.delivery.remote.transaction import Transaction
from spool.delivery.remote.transport import CameBack, Transport
from spool.delivery.routes import RoutingTable
from spool.delivery.shaping.brakes import Brakes
from spool.delivery.shaping.limits import Table
from spool.delivery.shaping.rules import NO_RULES, RuleBook
from spool.delivery.shaping.warm_up import NO_PLAN, Plan
from spool.delivery.sources import NO_SOURCES, Local, Sources
from spool.message.envelope import (
    AttemptRecord,
    DeliveryReport,
    LeasedEntry,
    LeasedRecipient,
    RecipientResult,
    Treatment,
)
from spool.models.bounce import ReceivedBounce
from spool.models.mail_report import IncomingReport
from spool.models.recipient import Kind, Outcome
from spool.models.settings import LocalStore, Settings
from spool.models.suppression import Finding
from spool.monitoring import programs
from spool.monitoring.programs import Live
from spool.signing.ring import NONE as NO_KEYS
from spool.signing.ring import KeyRing

# Folders are synced in these threads; a few keep one slow disk from holding up all.
_local = ThreadPoolExecutor(2, thread_name_prefix="local")

# About as long as a database needs to restart.
DATABASE_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)

log = logging.getLogger(__name__)

LocalWork = tuple[LeasedEntry, list[LeasedRecipient]]


@dataclass(slots=True)
class _Progress:
    """An entry on its way: how many parts are still to report, and whether one of them left something to others."""

    report: DeliveryReport
    parts: int
    left: bool = False


@dataclass(slots=True)
class _LocalOutcome:
    """What local delivery did with one entry; `mailboxes` are still to go by LMTP."""

    results: list[RecipientResult]
    attempts: list[AttemptRecord]
    plan: local_plans.LocalPlan
    bounces: list[ReceivedBounce]
    mailboxes: list[tuple[LeasedRecipient, LocalUser]]
    error: str = ""
    findings: list[Finding] = field(default_factory=list)
    incoming: IncomingReport | None = None


class Deliveries:
    """The deliveries of one pass. Loop thread only.

    Of each entry one of the three is told, once: `delivered`, `broken`, or `left` when its lease lapsed before anything
    was done. `came_back` is told of each host that answers again: whose mail waits for it, and what that was told.
    """

    def __init__(
        self,
        delivered: Callable[[DeliveryReport], None],
        broken: Callable[[LeasedEntry, str], None],
        left: Callable[[LeasedEntry], None],
        answers: AnswerFile | None = None,
        came_back: CameBack | None = None,
        brakes: Brakes | None = None,
        sessions: Sessions | None = None,
        local: Local | None = None,
    ) -> None:
        self._answers = answers
        self._delivered = delivered
        self._broken = broken
        self._left = left
        self._transport = Transport(
            django_settings.MAILSPOOL_HOSTNAME,
            programs.known().live.here,
            django_settings.MAILSPOOL_DNS,
            answers,
            came_back,
            brakes,
            sessions,
            local,
        )
        self._policies = PolicyLookups(django_settings.MAILSPOOL_DNS)
        self._progress: dict[int, _Progress] = {}
        self._settings: Settings | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._local_queue: deque[LocalWork] = deque()
        self._local_running = 0

    def configure(
        self,
        settings: Settings,
        routes: RoutingTable,
        keys: KeyRing = NO_KEYS,
        limits: Table | None = None,
        live: Live | None = None,
        rules: RuleBook = NO_RULES,
        sources: Sources = NO_SOURCES,
        plan: Plan = NO_PLAN,
    ) -> None:
        """Use these from now on; None: the limits as they were, and as many workers."""
        self._settings = settings
        self._transport.configure(settings, routes, keys, limits, live, rules, sources, plan)

    def start(self, entries: Sequence[LeasedEntry]) -> None:
        """Deliver `entries` to their open recipients."""
        for entry in entries:
            remote = [r for r in entry.recipients if r.kind is Kind.REMOTE]
            here = [r for r in entry.recipients if r.kind is Kind.LOCAL] if len(remote) < len(entry.recipients) else []
            progress = self._progress[entry.id] = _Progress(DeliveryReport(entry), 1 + bool(here))
            if here:
                self._local_queue.append((entry, here))
            if remote and entry.treatments:
                remote = _not_deleted(progress.report, remote)
            if remote and entry.refused:
                remote = _not_refused(progress.report, remote, entry.refused)
            for recipients in _alike(entry, remote) if remote else ():
                self._send(entry, recipients)
            self._part_done(entry)
        if self._local_queue:
            self._start_locally()

    @property
    def parked(self) -> int:
        """How many transactions wait for destinations of which it is not known whether they answer."""
        return self._transport.parked

    def park_stalled(self) -> None:
        """To be called now and then: counts what waits for hosts that hang among the parked."""
        self._transport.park_stalled()

    def give_up_silent(self) -> None:
        """To be called when there is no room to take up more: gives up hosts that say nothing."""
        self._transport.give_up_silent()

    async def close(self, grace_seconds: float) -> None:
        """Wait for what is on the wire. Of the rest, what has results is reported; the others can be given back."""
        self._local_queue.clear()
        started = time.monotonic()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        # Both within the one grace: whoever stops us kills us not long after it.
        await self._transport.close(max(1.0, grace_seconds - (time.monotonic() - started)))
        for progress in list(self._progress.values()):
            if progress.report.results:
                self._delivered_partly(progress.report, "the server was stopped before this one's turn")
        self._progress.clear()

    def _delivered_partly(self, report: DeliveryReport, why: str) -> None:
        """Report what there is; the other recipients wait."""
        told = {result.recipient.id for result in report.results}
        report.results += [
            RecipientResult(recipient, Outcome.PENDING, why, "4.3.2")
            for recipient in report.entry.recipients
            if recipient.id not in told
        ]
        self._delivered(report)

    def _send(self, entry: LeasedEntry, recipients: Sequence[LeasedRecipient], *, lmtp: bool = False) -> None:
        """Hand over to the transport. It may answer at once: the parts are counted before, as many as there can be.

        What makes it fail waits; the entries after it are not to.
        """
        progress = self._progress[entry.id]
        most = len(recipients)
        progress.parts += most
        try:
            count = self._transport.put(entry, recipients, self._remote_done, lmtp=lmtp)
        except Exception as error:  # the edge of a delivery
            log.exception("%s could not be handed over for delivery", entry.file_name)
            why = f"delivery failed: {error!r}"
            progress.report.results += [RecipientResult(one, Outcome.PENDING, why, "4.3.0") for one in recipients]
            count = 0
        progress.parts -= most - count

    def _part_done(self, entry: LeasedEntry) -> None:
        progress = self._progress[entry.id]
        progress.parts -= 1
        if progress.parts:
            return
        del self._progress[entry.id]
        if not progress.left:
            self._delivered(progress.report)
        elif progress.report.results:
            self._delivered_partly(progress.report, "the worker was held up before this one's turn")
        else:
            self._left(entry)

    def _remote_done(self, transaction: Transaction) -> None:
        progress = self._progress.get(transaction.entry.id)
        if progress is None:
            return
        progress.report.results += transaction.results
        progress.report.attempts += transaction.attempts
        progress.left = progress.left or bool(transaction.recipients)
        self._part_done(transaction.entry)

    def _start_locally(self) -> None:
        """Take up as much of the queue as may be in local delivery at once; the workers share that limit evenly."""
        assert self._settings is not None
        room = -(-self._settings.max_local_deliveries // self._transport.workers) - self._local_running
        if room <= 0:
            return
        batch = [self._local_queue.popleft() for _ in range(min(room, len(self._local_queue)))]
        self._local_running += len(batch)
        task = asyncio.ensure_future(self._deliver_locally(batch))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._ended_locally, len(batch)))

    def _ended_locally(self, count: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._local_running -= count
        if self._local_queue:
            self._start_locally()

    async def _deliver_locally(self, batch: list[LocalWork]) -> None:
        assert self._settings is not None
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(_local, _deliver_patiently, batch, self._settings)
        except Exception:  # the edge of a delivery: the poison rule, one by one
            outcomes = await loop.run_in_executor(_local, _deliver_singly, batch, self._settings)
        try:
            if self._answers is not None:
                self._answers.note_all(_in_mailboxes(batch, outcomes))
        except Exception:  # a note is for the case of a crash only
            log.exception("what is in mailboxes could not be noted, so that a crash would store more of it twice")
        for (entry, _), outcome in zip(batch, outcomes, strict=True):
            # One that the stop did not wait for is given back, and a Maildir takes nothing twice.
            if entry.id in self._progress:
                try:
                    self._take_up(entry, outcome)
                except Exception:  # the edge of a delivery: the others of the batch are not to wait for ever
                    if entry.id in self._progress:
                        self._fail(entry, traceback.format_exc())

    def _take_up(self, entry: LeasedEntry, outcome: _LocalOutcome | None) -> None:
        """Put what became of an entry's local recipients into its report."""
        if outcome is None or outcome.error:
            self._fail(entry, outcome.error if outcome else "local delivery failed")
            return
        report = self._progress[entry.id].report
        report.results += [*outcome.plan.results, *outcome.results]
        report.attempts += [*outcome.plan.attempts, *outcome.attempts]
        report.spawned += outcome.plan.spawned
        report.bounces += outcome.bounces
        report.findings += outcome.findings
        report.incoming = outcome.incoming
        if outcome.mailboxes:
            for recipients in _alike(entry, [recipient for recipient, _ in outcome.mailboxes]):
                self._send(entry, recipients, lmtp=True)
        if outcome.plan.undecided:
            self._decide_later(entry, outcome.plan)
        self._part_done(entry)

    def _decide_later(self, entry: LeasedEntry, plan: local_plans.LocalPlan) -> None:
        """Have recipients planned once it is known what the author's domain asks for. Others don't wait for that."""
        self._progress[entry.id].parts += 1
        task = asyncio.ensure_future(self._decided((entry, plan.undecided), plan.unknown_domains))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _decided(self, work: LocalWork, domains: set[str]) -> None:
        try:
            await self._policies.learn(domains)
        except Exception:  # the edge of a delivery: the poison rule
            if work[0].id in self._progress:
                self._fail(work[0], traceback.format_exc())
            return
        if work[0].id in self._progress:
            self._local_queue.append(work)
            self._start_locally()

    def _fail(self, entry: LeasedEntry, text: str) -> None:
        """An entry that raised; results that there are meanwhile, as those of remote hosts, are kept by a report."""
        progress = self._progress[entry.id]
        told = {result.recipient.id for result in progress.report.results}
        missing = [r for r in entry.recipients if r.kind is Kind.LOCAL and r.id not in told]
        if len(missing) < len(entry.recipients):
            progress.report.results += [
                RecipientResult(recipient, Outcome.PENDING, text.strip().rpartition("\n")[2], "4.3.0")
                for recipient in missing
            ]
            self._part_done(entry)
            return
        del self._progress[entry.id]
        self._broken(entry, text)


def _in_mailboxes(
    batch: Sequence[LocalWork], outcomes: Sequence[_LocalOutcome | None]
) -> Iterator[tuple[LeasedEntry, list[RecipientResult], AttemptRecord]]:
    """What is in a Maildir. A second delivery finds it there, unless its owner has fetched or moved it meanwhile.

    A report of undelivered mail is not among it: it is to be counted, too, and the second one does.
    """
    for (entry, _), outcome in zip(batch, outcomes, strict=True):
        if outcome is not None and not (outcome.error or outcome.bounces or outcome.incoming):
            tried = [result for result in outcome.results if result.put_off is None]
            for result, attempt in zip(tried, outcome.attempts, strict=True):
                yield entry, [result], attempt


def _not_deleted(report: DeliveryReport, recipients: list[LeasedRecipient]) -> list[LeasedRecipient]:
    """The recipients but for those who do not get it; that is a result."""
    left = []
    for recipient in recipients:
        if deleted := report.entry.treatment_of(recipient).deleted:
            report.results.append(RecipientResult(recipient, Outcome.REMOVED, deleted, host="local"))
        else:
            left.append(recipient)
    return left


def _not_refused(
    report: DeliveryReport, recipients: list[LeasedRecipient], refused: Mapping[int, str]
) -> list[LeasedRecipient]:
    """The recipients but for those whom the sender's domain sends nothing; they bounce without a try."""
    report.results += [
        RecipientResult(one, Outcome.BOUNCED, refused[one.id], "5.7.1", host="local")
        for one in recipients
        if one.id in refused
    ]
    return [one for one in recipients if one.id not in refused]


def _alike(entry: LeasedEntry, recipients: list[LeasedRecipient]) -> list[list[LeasedRecipient]]:
    """The recipients, those together who get the same bytes under the same reverse-path."""
    if not entry.treatments and not entry.reverse_paths and not entry.own_fields:
        return [recipients]
    groups: dict[tuple[Treatment, str, bytes], list[LeasedRecipient]] = {}
    for recipient in recipients:
        alike = entry.treatment_of(recipient), entry.sender_for(recipient), entry.own_fields_of(recipient)
        groups.setdefault(alike, []).append(recipient)
    return list(groups.values())


def _deliver_patiently(batch: list[LocalWork], settings: Settings) -> list[_LocalOutcome | None]:
    """Deliver a batch; while the database is away, wait for it: that is no fault of any message."""
    for pause in DATABASE_PAUSES:
        try:
            return _deliver_batch(batch, settings)
        except (InterfaceError, OperationalError) as error:
            log.warning("local delivery waits for the database: %s", error)
            connection.close()
            time.sleep(pause)
    return _deliver_batch(batch, settings)


def _deliver_batch(batch: list[LocalWork], settings: Settings) -> list[_LocalOutcome | None]:
    """Resolve and store a batch, in a thread of local delivery."""
    close_old_connections()
    now = timezone.now()
    plans = local_plans.plan_batch(batch, settings, now)
    besides = bounces.Besides()
    returned = bounces.count(batch, now, besides)
    outcomes: list[_LocalOutcome | None] = []
    for index, plan in enumerate(plans):
        complained = [besides.complaints[index]] if index in besides.complaints else []
        findings = besides.dead.get(index, []) + complaints.findings(complained, now)
        incoming = incoming_reports.in_mail(*batch[index], now)
        outcomes.append(_LocalOutcome([], [], plan, returned[index], [], findings=findings, incoming=incoming))
    if settings.local_store == LocalStore.LMTP:
        for outcome in outcomes:
            if outcome is not None:
                outcome.mailboxes = outcome.plan.mailboxes
        return outcomes
    positions = [index for index, plan in enumerate(plans) if plan.mailboxes]
    stored = local_plans.store_maildir([(batch[index][0], plans[index].mailboxes) for index in positions], now)
    for index, (results, attempts) in zip(positions, stored, strict=True):
        outcome = outcomes[index]
        assert outcome is not None
        outcome.results, outcome.attempts = results, attempts
    return outcomes


def _deliver_singly(batch: list[LocalWork], settings: Settings) -> list[_LocalOutcome | None]:
    """After a batch raised: find out which entry does."""
    outcomes: list[_LocalOutcome | None] = []
    for work in batch:
        try:
            outcomes += _deliver_batch([work], settings)
        except Exception:  # the edge of a delivery
            outcomes.append(
                _LocalOutcome([], [], local_plans.LocalPlan([], [], [], []), [], [], traceback.format_exc())
            )
    return outcomes
