"""The scanning stages of the spool (SPOOL_STAGES). Without a scanner or check in the settings they want nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from django.db import DataError, IntegrityError
from django.db import Error as DatabaseError

from quarantine.check_counts import Gathering, Tallies
from quarantine.engines import checks
from quarantine.engines.answers import Said
from quarantine.engines.scanner import VirusScanner, scanners_for
from quarantine.items import transfer
from quarantine.items.transfer import Caught, Part
from quarantine.models.antispam import AntispamSettings
from quarantine.models.antivirus import AntivirusSettings, WhenUnanswered
from quarantine.models.check import current_checks
from quarantine.models.item import ItemKind
from quarantine.models.listed import any_listed
from quarantine.spam import result_cache, verdict_cache
from quarantine.spam.cases import Case, Directions, case_of, comes_in, examined_of, goes_out
from quarantine.spam.concurrency import Room
from quarantine.spam.disposition import choices_of, chooser_of, treat
from quarantine.spam.forged import forged_in
from quarantine.spam.listed_senders import Entry as ListEntry
from quarantine.spam.listed_senders import Lists, Proofs, decided, lists_of, unproven
from quarantine.spam.owner_policy import wish_in
from quarantine.spam.score import TRUSTED, Findings, Judgement, Level, ask, pass_by
from quarantine.spam.trusted_senders import is_their_own, trusted_among, voucher
from quarantine.spam.unanswered import HOLD, held_until, kept_unchecked, waiting
from quarantine.virus.scan import Ruling, Scan, scan, unanswered
from security import lists as security_lists
from spool.files import working
from spool.message.envelope import LeasedEntry
from spool.models.entry import Origin, Priority, Status
from spool.rows import statements
from spool.stages import Stage, StageContext, Taken, Verdict, WaitUntil
from spool.trusted import is_ours, is_surely_ours

log = logging.getLogger(__name__)
T = TypeVar("T")

# For a whole batch. What is not done by then counts as not answered: the pass gives up on a stage only after longer.
BATCH_SECONDS: Final = 240.0
# For finding out, for a whole batch, whether senders that recipients allow are who they say.
PROOF_SECONDS: Final = 20.0


class VirusCheck(Stage):
    """Takes infected mail, inbound and outbound, to the Virus Quarantine."""

    status = Status.VIRUS_CHECK

    def __init__(self) -> None:
        self._settings = AntivirusSettings()
        self._counts = Gathering()
        self._scanners: list[VirusScanner] = []

    def prepare(self) -> bool:
        self._settings = AntivirusSettings.current()
        self._scanners = scanners_for(self._settings)
        return bool(self._scanners)

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        settings = self._settings
        return (settings.scan_inbound and comes_in(entry)) or (settings.scan_outbound and goes_out(entry))

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        ids, since = [entry.id for entry in batch], self._settings.scan_again_since
        pardoned, known = await context.in_database(
            lambda: (pardons(ids, ItemKind.VIRUS), result_cache.known(ItemKind.VIRUS, batch, since).keys())
        )
        for entry in batch:
            # A notice with such a message in it would be caught itself, and nobody would be told.
            entry.is_quotable = entry.id not in pardoned
        entries = [entry for entry in batch if entry.id not in pardoned and entry.id not in known]
        if self._settings.unanswered == WhenUnanswered.HOLD and any(one.priority >= Priority.HIGH for one in entries):
            # Force is a wish to see a try now, as it is for hosts that rest.
            for scanner in self._scanners:
                scanner.wake()
        scans = await self._scan_all(entries)
        for entry, found in zip(entries, scans, strict=True):
            if found.ruling is Ruling.PASS and any(answer.said is Said.CLEAN for answer in found.answers):
                result_cache.note(entry, ItemKind.VIRUS, context.now)
        caught = [
            Caught(entry.id, ItemKind.VIRUS, found.why, None, [answer.as_json() for answer in found.answers])
            for entry, found in zip(entries, scans, strict=True)
            if found.ruling is Ruling.QUARANTINE
        ]
        verdicts: dict[int, Verdict] = {
            entry.id: WaitUntil(held_until(entry, context.now), Status.VIRUS_CHECK, found.why)
            for entry, found in zip(entries, scans, strict=True)
            if found.ruling is Ruling.HOLD
        }
        days = self._settings.keep_days
        verdicts |= await quarantine(caught, context, days, Status.VIRUS_CHECK)
        _tally_scans(self._counts.tallies, scans)
        self._counts.write_soon(context)
        return verdicts

    async def close(self) -> None:
        self._counts.write_now()
        for scanner in self._scanners:
            scanner.close()

    def remember(self, entries: Sequence[LeasedEntry]) -> None:
        result_cache.write(ItemKind.VIRUS, entries)

    def inherit(self, children: Sequence[tuple[int, LeasedEntry]]) -> None:
        if self._scanners:
            result_cache.inherit(ItemKind.VIRUS, children)

    async def _scan_all(self, entries: Sequence[LeasedEntry]) -> list[Scan]:
        """One for each entry, in their order, within BATCH_SECONDS."""
        if not entries:
            return []
        tasks = await _in_time(self._scan(entry) for entry in entries)
        too_slow = "No virus scanner answers: they need too long for the mail that there is"
        return [unanswered(too_slow, self._settings) if task.cancelled() else task.result() for task in tasks]

    async def _scan(self, entry: LeasedEntry) -> Scan:
        try:
            # One that has no file has a copy for as long as a scanner wants one.
            path = entry.path if entry.content is None else working.folder() / entry.file_name
            return await scan(path, entry.size_bytes, self._scanners, self._settings, entry.content)
        except FileNotFoundError:
            # Delivery says so, and the entry waits; the doctor finds it.
            return Scan(Ruling.PASS, "the message's file is missing")


@dataclass(frozen=True, slots=True)
class _Facts:
    """About a batch: the ids of entries that are ours, pardoned, of trusted senders; exempt clients; what is known;
    what recipients have listed."""

    ours: set[int]
    exempt: set[str]
    pardoned: set[int]
    trusted: set[int]
    known: Mapping[int, Findings]
    lists: Mapping[int, Lists]


class SpamCheck(Stage):
    """Marks, files or deletes spam that comes in; takes spam that leaves, and what recipients block, to quarantine."""

    status = Status.SPAM_CHECK

    def __init__(self) -> None:
        self._settings = AntispamSettings()
        self._counts = Gathering()
        self._directions = Directions()
        self._any_listed = False

    def prepare(self) -> bool:
        found, self._any_listed = current_checks(), any_listed()
        if found or self._any_listed:
            self._settings = AntispamSettings.current()
        self._directions = Directions.of(found, self._settings)
        return bool(found) or self._any_listed

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        if entry.origin == Origin.DSN:
            return False
        if is_surely_ours(entry) is not True:
            # What a stranger has forged is left out, whoever looks at it.
            return True
        directions = self._directions
        looks_in = bool(directions.inbound) or self._any_listed
        return (looks_in and comes_in(entry)) or bool(directions.outbound and goes_out(entry))

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        facts = await context.in_database(lambda: self._facts(batch, context.now))
        answers = await self._take_blocked(batch, facts, context)
        batch = [entry for entry in batch if entry.id not in answers]
        cases = self._cases(batch, facts)
        if any(entry.priority >= Priority.HIGH for entry in batch):
            # Force is a wish to see a try now, as it is for hosts that rest.
            checks.rests.wake()
        judged_all = await self._judge_all(cases, context.now)
        against = [one for case, findings in judged_all if (one := self._against_policy(case, findings))]
        answers |= await quarantine(against, context, self._settings.keep_days, Status.SPAM_CHECK)
        kept = {one.entry_id for one in against}
        judged = [(case, findings) for case, findings in judged_all if case.entry.id not in kept]
        allowed = await self._allowed(judged, facts)
        held = {one.case.entry.id: one for one in waiting(judged, self._settings, context.now, allowed)}
        caught = [one for case, findings in judged if (one := self._caught(case, findings, context.now))]
        deleted = await self._treat(judged, context, {number: one.recipients for number, one in held.items()}, allowed)
        gone = {one.entry_id for one in deleted}
        caught = [one for one in caught if one.entry_id not in gone]
        taken = await quarantine(caught, context, self._settings.keep_days, Status.SPAM_CHECK)
        answers |= {number: verdict for number, one in held.items() if (verdict := one.verdict()) is not None}
        answers |= taken
        answers |= await delete(deleted, context)
        _tally_findings(self._counts.tallies, judged_all)
        self._counts.write_soon(context)
        return answers

    async def close(self) -> None:
        self._counts.write_now()

    def remember(self, entries: Sequence[LeasedEntry]) -> None:
        result_cache.write(ItemKind.SPAM, entries)

    def inherit(self, children: Sequence[tuple[int, LeasedEntry]]) -> None:
        if self._directions.inbound or self._directions.outbound:
            result_cache.inherit(ItemKind.SPAM, children)

    def _facts(self, batch: Sequence[LeasedEntry], now: datetime) -> _Facts:
        """What the database has to say of them."""
        ours = {entry.id for entry in batch if is_ours(entry)}
        return _Facts(
            ours,
            exempt_of({entry.client_ip for entry in batch if entry.client_ip}),
            pardons([entry.id for entry in batch], ItemKind.SPAM),
            trusted_among(batch, ours),
            self._known(batch, now),
            lists_of(batch, self._settings) if self._any_listed else {},
        )

    async def _take_blocked(
        self, batch: Sequence[LeasedEntry], facts: _Facts, context: StageContext
    ) -> dict[int, Verdict]:
        """Take messages to the quarantine for those recipients who block their senders, a message for each of them."""
        blocking = {
            entry.id: (entry, lists)
            for entry in batch
            if entry.id not in facts.pardoned
            and (lists := {number: one for number, one in facts.lists.get(entry.id, {}).items() if _may_block(one)})
        }
        found = await self._decided(blocking.values(), facts)
        pending = [
            _blocked(entry, {number: one for number, one in found[entry.id].items() if one.blocks})
            for entry, _ in blocking.values()
            if entry.id in found
        ]
        answers: dict[int, Verdict] = {}
        # Of one message, one recipient after the other: each gets a message of its own.
        while caught := [some.pop() for some in pending if some and some[-1].entry_id not in answers]:
            caught = [replace(one, part=None) if one.part is not None and one.part.is_all else one for one in caught]
            answers |= await quarantine(caught, context, self._settings.keep_days, Status.SPAM_CHECK)
        return answers

    def _against_policy(self, case: Case, findings: Findings) -> Caught | None:
        """What is quarantined since the owner of its domain asks for that, or for more: for all recipients, of mail
        from outside alone. A list's copy is not quite what its author wrote."""
        if case.examined.ours or case.examined.remailed:
            return None
        wish = wish_in(findings, case.entry.client_ip, self._settings)
        judgement = case.as_inbound(findings, self._settings) if wish is not None else None
        return _caught(case.entry, judgement, why=wish.why) if wish is not None and judgement is not None else None

    async def _allowed(self, judged: Sequence[tuple[Case, Findings]], facts: _Facts) -> dict[int, frozenset[int]]:
        """The recipients who allow the senders of what is spam or would wait, by the messages."""
        asked = [
            (case.entry, lists)
            for case, findings in judged
            if (lists := facts.lists.get(case.entry.id))
            and (inbound := case.as_inbound(findings, self._settings)) is not None
            and not (findings.complete and inbound.level is Level.NONE)
        ]
        return {
            number: frozenset(recipient for recipient, one in found.items() if not one.blocks)
            for number, found in (await self._decided(asked, facts)).items()
        }

    async def _decided(
        self, asked: Iterable[tuple[LeasedEntry, Lists]], facts: _Facts
    ) -> dict[int, Mapping[int, ListEntry]]:
        """What the lists of their recipients come to, by the messages, all at once; of those that are gone, nothing."""
        asked = list(asked)
        if not asked:
            return {}
        tasks = await _in_time((decided(lists, self._proofs(entry, facts)) for entry, lists in asked), PROOF_SECONDS)
        found: dict[int, Mapping[int, ListEntry]] = {}
        for (entry, lists), task in zip(asked, tasks, strict=True):
            if task.cancelled():
                found[entry.id] = unproven(lists)
            elif not isinstance(task.exception(), FileNotFoundError):
                found[entry.id] = task.result()
        return found

    def _proofs(self, entry: LeasedEntry, facts: _Facts) -> Proofs:
        ours = entry.id in facts.ours
        examined = examined_of(entry, ours=ours, max_content_bytes=self._settings.max_content_bytes)
        return Proofs(examined, own=ours and is_their_own(entry))

    def _cases(self, batch: Sequence[LeasedEntry], facts: _Facts) -> list[Case]:
        """Those of the messages that the checks look at. Of all that strangers sent, forgeries are left out."""
        cases = []
        for entry in batch:
            if entry.client_ip in facts.exempt:
                # Its hosts are believed, also in what they wrote about a message.
                continue
            case = case_of(
                entry,
                self._directions,
                ours=entry.id in facts.ours,
                is_from_trusted=entry.id in facts.trusted,
                known=facts.known.get(entry.id),
                max_content_bytes=self._settings.max_content_bytes,
            )
            try:
                if entry.id not in facts.ours:
                    entry.omitted |= forged_in(case.examined.head)
            except FileNotFoundError:
                # Delivery says so, and the entry waits; the doctor finds it.
                continue
            if entry.id not in facts.pardoned and case.wanted:
                cases.append(case)
        return cases

    def _known(self, batch: Sequence[LeasedEntry], now: datetime) -> dict[int, Findings]:
        """What the checks have said already: while a message came in, before it had to wait, of what it was made of."""
        new = {entry.file_name: entry for entry in batch if not entry.attempts} if self._settings.reject else {}
        known: dict[int, Findings] = {}
        for name, findings in verdict_cache.take(list(new)).items():
            known[new[name].id] = findings
            result_cache.note(new[name], ItemKind.SPAM, now, findings)
        others = [entry for entry in batch if entry.id not in known]
        kept = result_cache.known(ItemKind.SPAM, others, self._settings.scan_again_since)
        return known | {number: Findings.from_json(findings) for number, findings in kept.items()}

    def _caught(self, case: Case, findings: Findings, now: datetime) -> Caught | None:
        """What is to be quarantined: for those recipients alone to whom it is sent."""
        entry, judgement, why = case.entry, case.as_outbound(findings, self._settings), ""
        if judgement is None:
            return None
        if judgement.score < self._settings.outbound_threshold:
            why = kept_unchecked(case, judgement, self._settings, now)
            if not why:
                return None
        part = Part(entry, tuple(one.id for one in case.sent)) if len(case.sent) < len(entry.recipients) else None
        return _caught(entry, judgement, part, why)

    async def _treat(
        self,
        judged: Sequence[tuple[Case, Findings]],
        context: StageContext,
        held: Mapping[int, frozenset[int]],
        allowed: Mapping[int, frozenset[int]],
    ) -> list[Caught]:
        """Have delivery do what is to be done for each recipient who does not wait; those that are to be deleted."""
        settings = self._settings
        inbound = [
            (case, found)
            for case, one in judged
            if (found := case.as_inbound(one, settings)) is not None
            and not held.get(case.entry.id, frozenset()) >= {recipient.id for recipient in case.received}
        ]
        spam = [case for case, judgement in inbound if judgement.level is not Level.NONE]
        addresses = {chooser_of(recipient) for case in spam for recipient in case.received}
        choices = await context.in_database(lambda: choices_of(addresses, settings)) if addresses else {}
        return [
            _caught(case.entry, judgement)
            for case, judgement in inbound
            if treat(case.entry, case.received, judgement, settings, choices, allowed.get(case.entry.id, frozenset()))
        ]

    async def _judge_all(self, cases: Sequence[Case], now: datetime) -> list[tuple[Case, Findings]]:
        """What was found out about each, in time; those that are gone are left out."""
        if not cases:
            return []
        room = Room()
        tasks = await _in_time(self._judge(case, now, room) for case in cases)
        if late := sum(task.cancelled() for task in tasks):
            log.error("the spam checks took too long for %d messages", late)
        answers = [
            _unheard(case) if task.cancelled() else task.result() for case, task in zip(cases, tasks, strict=True)
        ]
        return [(case, one) for case, one in zip(cases, answers, strict=True) if one is not None]

    async def _judge(self, case: Case, now: datetime, room: Room) -> Findings | None:
        """None when the message is gone: delivery says so."""
        known = case.known
        if (
            known is not None
            and (known.trusted or not case.is_from_trusted)
            and not known.missing(case.wanted, case.examined)
        ):
            return known
        async with room.for_one(case.examined):
            try:
                if case.is_from_trusted and (why := await voucher(case.examined)):
                    findings = await pass_by(case.examined, case.wanted, why)
                else:
                    findings = await ask(case.examined, case.wanted, known)
            except FileNotFoundError:
                return None
        if findings.complete:
            result_cache.note(case.entry, ItemKind.SPAM, now, findings)
        return findings


async def _in_time(work: Iterable[Coroutine[Any, Any, T]], seconds: float = BATCH_SECONDS) -> list[asyncio.Task[T]]:
    """A task for each of some: all have ended, those that were not done within so long by being cancelled."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks, timeout=seconds)
    finally:
        late = [task for task in tasks if not task.done()]
        for task in late:
            task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return tasks


def _caught(entry: LeasedEntry, judgement: Judgement, part: Part | None = None, why: str = "") -> Caught:
    findings = [result.as_json() for result in judgement.results]
    return Caught(entry.id, ItemKind.SPAM, why or judgement.why, judgement.score, findings, part)


def _may_block(entries: Sequence[ListEntry]) -> bool:
    return any(entry.blocks for entry in entries)


def _blocked(entry: LeasedEntry, found: Mapping[int, ListEntry]) -> list[Caught]:
    """A message for each mailbox whose owner blocks its sender."""
    of_mailbox: dict[str, list[int]] = {}
    for number, one in found.items():
        of_mailbox.setdefault(one.mailbox, []).append(number)
    pattern = {one.mailbox: one.pattern for one in found.values()}
    return [
        Caught(
            entry.id,
            ItemKind.SPAM,
            f"Blocked by {mailbox}: {pattern[mailbox]}",
            part=Part(entry, tuple(numbers)),
            blocked_by=mailbox,
        )
        for mailbox, numbers in of_mailbox.items()
    ]


def _unheard(case: Case) -> Findings:
    """Of a message for which the checks had no time: nothing is known."""
    return Findings([checks.unheard(check) for check in case.wanted if checks.applies(check, case.examined)], [])


def exempt_of(clients: set[str]) -> set[str]:
    """Those of the clients whose whitelist entry says that their mail is not checked for spam."""
    lists = security_lists.current()
    return {client for client in clients if lists.skips_spam_checks(client)}


async def delete(caught: Sequence[Caught], context: StageContext) -> dict[int, Verdict]:
    """Delete spam of a level for which that is the choice: into the trash, so that it can be put back."""
    if not caught:
        return {}
    try:
        await context.in_database(lambda: transfer.delete(context.owner, caught, context.now))
    except (DataError, IntegrityError):
        # It is about one of them: the pass asks again for each alone, and sets that one aside.
        raise
    except DatabaseError as error:
        log.error("%d messages could not be deleted yet: %s", len(caught), error)
        due = context.now + HOLD
        return {one.entry_id: WaitUntil(due, Status.SPAM_CHECK, "It could not be deleted yet") for one in caught}
    return {one.entry_id: Taken() for one in caught}


def _tally_findings(tallies: Tallies, judged: Sequence[tuple[Case, Findings]]) -> None:
    for case, findings in judged:
        old = case.known.results if case.known is not None else ()
        for one in findings.results[len(old) :]:
            if one.kind == TRUSTED or one.busy:
                # Nobody was asked.
                continue
            tallies[one.check].add(hit=one.points > 0, failed=one.failed, seconds=one.seconds, error=one.text)


def pardons(entry_ids: Sequence[int], kind: ItemKind) -> set[int]:
    """Those of the entries that were resent past this check."""
    if not entry_ids:
        return set()
    clause, parameters = statements.id_list(entry_ids)
    found = statements.execute(
        f"SELECT entry_id FROM quarantine_pardon WHERE entry_id {clause} AND kind = %s",  # noqa: S608
        [*parameters, kind.value],
    )
    return {row[0] for row in found.fetchall()}


async def quarantine(caught: Sequence[Caught], context: StageContext, days: int, status: Status) -> dict[int, Verdict]:
    """Take what was caught out of the spool. While the database is away it waits: it must not be delivered."""
    if not caught:
        return {}
    try:
        taken = await context.in_database(lambda: transfer.take(context.owner, caught, context.now, days))
    except (DataError, IntegrityError):
        # As above.
        raise
    except (DatabaseError, OSError) as error:
        log.error("%d messages could not be quarantined yet: %s", len(caught), error)
        due = context.now + HOLD
        return {one.entry_id: WaitUntil(due, status, "It could not be quarantined yet") for one in caught}
    # Those that were not ours any more are for whoever holds them now.
    gone = [one for one in caught if one.part is None or one.entry_id not in taken]
    for one in caught:
        if one.part is not None:
            one.part.leave()
    return {one.entry_id: Taken() for one in gone}


def _tally_scans(tallies: Tallies, scans: Sequence[Scan]) -> None:
    for one in scans:
        for answer in one.answers:
            failed = answer.said is Said.FAILED
            tallies[answer.engine].add(
                hit=answer.said is Said.INFECTED, failed=failed, seconds=answer.seconds, error=answer.text
            )
