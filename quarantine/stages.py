"""The scanning stages of the spool (SPOOL_STAGES). Without a scanner or check in the settings they want nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import DataError, IntegrityError
from django.db import Error as DatabaseError

from quarantine import remembering, taking, verdicts
from quarantine.counting import Gathering, Tallies
from quarantine.engines.answers import Said
from quarantine.engines.examined import Examined
from quarantine.engines.scanner import VirusScanner, scanners_for
from quarantine.forged import forged_in
from quarantine.models.antispam import AntispamSettings
from quarantine.models.antivirus import AntivirusSettings, WhenUnanswered
from quarantine.models.check import Check, current_checks
from quarantine.models.item import ItemKind
from quarantine.room import Room
from quarantine.scanning import Ruling, Scan, scan, unanswered
from quarantine.spam import Findings, Judgement, Level, ask, weigh
from quarantine.taking import Caught
from quarantine.treating import choices_of, treat
from quarantine.trusting import trusted_of
from security import lists as security_lists
from spool import statements
from spool.envelope import LeasedEntry
from spool.models.entry import Direction, Origin, Priority, Status
from spool.stages import Stage, StageContext, Taken, Verdict, WaitUntil
from spool.trusted import is_ours

log = logging.getLogger(__name__)

# How long what was held waits, at least and at most: a long queue must not be turned over every minute for hours.
HOLD = timedelta(seconds=60)
LONGEST_HOLD = timedelta(seconds=300)
# For a whole batch. What is not done by then counts as not answered: the pass gives up on a stage only after longer.
BATCH_SECONDS: Final = 240.0


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
        if entry.direction == Direction.OUTBOUND:
            return self._settings.scan_outbound
        return self._settings.scan_inbound

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        ids, since = [entry.id for entry in batch], self._settings.scan_again_since
        pardoned, known = await context.in_database(
            lambda: (pardons(ids, ItemKind.VIRUS), remembering.known(ItemKind.VIRUS, batch, since).keys())
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
                remembering.note(entry, ItemKind.VIRUS, context.now)
        caught = [
            Caught(entry.id, ItemKind.VIRUS, found.why, None, [answer.as_json() for answer in found.answers])
            for entry, found in zip(entries, scans, strict=True)
            if found.ruling is Ruling.QUARANTINE
        ]
        verdicts: dict[int, Verdict] = {
            entry.id: WaitUntil(_held_until(entry, context), Status.VIRUS_CHECK, found.why)
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
        remembering.write(ItemKind.VIRUS, entries)

    async def _scan_all(self, entries: Sequence[LeasedEntry]) -> list[Scan]:
        """One for each entry, in their order, within BATCH_SECONDS."""
        if not entries:
            return []
        tasks = [asyncio.ensure_future(self._scan(entry)) for entry in entries]
        try:
            await asyncio.wait(tasks, timeout=BATCH_SECONDS)
        finally:
            late = [task for task in tasks if not task.done()]
            for task in late:
                task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        too_slow = "No virus scanner answers: they need too long for the mail that there is"
        return [
            unanswered(too_slow, self._settings) if task.cancelled() else task.result() for task in tasks
        ]  # fmt: skip

    async def _scan(self, entry: LeasedEntry) -> Scan:
        try:
            return await scan(entry.path, entry.size_bytes, self._scanners, self._settings)
        except FileNotFoundError:
            # Delivery says so, and the entry waits; the doctor finds it.
            return Scan(Ruling.PASS, "the message's file is missing")


class SpamCheck(Stage):
    """Marks, files or deletes inbound spam, and takes outbound spam to the Spam Quarantine."""

    status = Status.SPAM_CHECK

    def __init__(self) -> None:
        self._settings = AntispamSettings()
        self._counts = Gathering()
        self._inbound: list[Check] = []
        self._outbound: list[Check] = []

    def prepare(self) -> bool:
        found = current_checks()
        self._inbound = [check for check in found if check.inbound]
        self._outbound = [check for check in found if check.outbound]
        if found:
            self._settings = AntispamSettings.current()
        return bool(found)

    def wants(self, entry: LeasedEntry, context: StageContext) -> bool:
        if entry.origin == Origin.DSN:
            return False
        if entry.direction == Direction.OUTBOUND:
            return bool(self._outbound) and self._settings.outbound_quarantine
        return bool(self._inbound)

    async def run(self, batch: Sequence[LeasedEntry], context: StageContext) -> Mapping[int, Verdict]:
        ids, senders = [entry.id for entry in batch], {entry.sender for entry in batch}
        clients = {entry.client_ip for entry in batch if entry.client_ip}
        pardoned, ours, trusted, exempt, known = await context.in_database(
            lambda: (
                pardons(ids, ItemKind.SPAM),
                {entry.id for entry in batch if is_ours(entry)},
                trusted_of(senders),
                exempt_of(clients),
                self._known(batch, context.now),
            )
        )
        entries = [entry for entry in batch if entry.id not in pardoned and entry.client_ip not in exempt]
        judgements = await self._judge_all(entries, ours, trusted, known, context.now)
        judged = [(entry, found) for entry, found in zip(entries, judgements, strict=True) if found is not None]
        outbound = [(entry, found) for entry, found in judged if entry.direction == Direction.OUTBOUND]
        caught = [_caught(*one) for one in outbound if one[1].score >= self._settings.outbound_threshold]
        deleted = await self._treat([one for one in judged if one[0].direction != Direction.OUTBOUND], context)
        answers = await quarantine(caught, context, self._settings.keep_days, Status.SPAM_CHECK)
        answers |= await delete(deleted, context)
        fresh = [found for entry, found in zip(entries, judgements, strict=True) if entry.id not in known]
        _tally_judgements(self._counts.tallies, fresh)
        self._counts.write_soon(context)
        return answers

    async def close(self) -> None:
        self._counts.write_now()

    def remember(self, entries: Sequence[LeasedEntry]) -> None:
        remembering.write(ItemKind.SPAM, entries)

    def _known(self, batch: Sequence[LeasedEntry], now: datetime) -> dict[int, Findings]:
        """What the checks have said already: while a message came in, or before it had to wait."""
        new = {entry.file_name: entry for entry in batch if not entry.attempts} if self._settings.reject else {}
        known: dict[int, Findings] = {}
        for name, findings in verdicts.take(list(new)).items():
            known[new[name].id] = findings
            remembering.note(new[name], ItemKind.SPAM, now, findings)
        others = [entry for entry in batch if entry.id not in known]
        kept = remembering.known(ItemKind.SPAM, others, self._settings.scan_again_since)
        return known | {number: Findings.from_json(findings) for number, findings in kept.items()}

    async def _treat(self, inbound: Sequence[tuple[LeasedEntry, Judgement]], context: StageContext) -> list[Caught]:
        """Have delivery do what is to be done for each recipient; those that are to be deleted."""
        settings = self._settings
        spam = [entry for entry, judgement in inbound if judgement.level is not Level.NONE]
        addresses = {recipient.address for entry in spam for recipient in entry.recipients}
        choices = await context.in_database(lambda: choices_of(addresses, settings)) if addresses else {}
        return [_caught(*one) for one in inbound if treat(*one, settings, choices)]

    async def _judge_all(
        self,
        entries: Sequence[LeasedEntry],
        ours: set[int],
        trusted: set[str],
        known: Mapping[int, Findings],
        now: datetime,
    ) -> list[Judgement | None]:
        """One for each entry; None for those that could not be judged in time, which are delivered unmarked."""
        if not entries:
            return []
        room = Room()
        tasks = [
            asyncio.ensure_future(
                self._judge(entry, entry.id in ours, entry.sender in trusted, known.get(entry.id), now, room)
            )
            for entry in entries
        ]
        try:
            await asyncio.wait(tasks, timeout=BATCH_SECONDS)
        finally:
            late = [task for task in tasks if not task.done()]
            for task in late:
                task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            log.error("%d messages go on unchecked: the spam checks took too long", len(late))
        return [None if task.cancelled() else task.result() for task in tasks]

    async def _judge(
        self,
        entry: LeasedEntry,
        ours: bool,
        trusted: bool,
        known: Findings | None,
        now: datetime,
        room: Room,
    ) -> Judgement | None:
        checks = self._outbound if entry.direction == Direction.OUTBOUND else self._inbound
        examined = Examined(
            entry.path, entry.size_bytes, entry.sender, tuple(one.address for one in entry.recipients),
            entry.client_ip, entry.ehlo_name, entry.auth_user, ours, entry.origin == Origin.LIST,
            self._settings.max_content_bytes,
        )  # fmt: skip
        try:
            if not ours:
                entry.omitted = forged_in(examined.head)
        except FileNotFoundError:
            # Delivery says so, and the entry waits; the doctor finds it.
            return None
        if known is not None:
            return weigh(known, self._settings, trusted=trusted)
        async with room.for_one(examined):
            try:
                findings = await ask(examined, checks)
            except FileNotFoundError:
                return None
        if findings.complete:
            remembering.note(entry, ItemKind.SPAM, now, findings)
        return weigh(findings, self._settings, trusted=trusted)


def _caught(entry: LeasedEntry, judgement: Judgement) -> Caught:
    findings = [result.as_json() for result in judgement.results]
    return Caught(entry.id, ItemKind.SPAM, judgement.why, judgement.score, findings)


def exempt_of(clients: set[str]) -> set[str]:
    """Those of the clients whose whitelist entry says that their mail is not checked for spam."""
    lists = security_lists.current()
    return {client for client in clients if lists.skips_spam_checks(client)}


async def delete(caught: Sequence[Caught], context: StageContext) -> dict[int, Verdict]:
    """Delete spam of a level for which that is the choice: into the trash, so that it can be put back."""
    if not caught:
        return {}
    try:
        await context.in_database(lambda: taking.delete(context.owner, caught, context.now))
    except (DataError, IntegrityError):
        # It is about one of them: the pass asks again for each alone, and sets that one aside.
        raise
    except DatabaseError as error:
        log.error("%d messages could not be deleted yet: %s", len(caught), error)
        due = context.now + HOLD
        return {one.entry_id: WaitUntil(due, Status.SPAM_CHECK, "It could not be deleted yet") for one in caught}
    return {one.entry_id: Taken() for one in caught}


def _tally_judgements(tallies: Tallies, judgements: Sequence[Judgement | None]) -> None:
    for judgement in judgements:
        for one in judgement.results if judgement else ():
            tallies[one.check].add(hit=one.points > 0, failed=one.failed, seconds=one.seconds, error=one.text)


def _held_until(entry: LeasedEntry, context: StageContext) -> datetime:
    return context.now + min(max(HOLD, (context.now - entry.created) / 4), LONGEST_HOLD)


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


async def quarantine(
    caught: Sequence[Caught], context: StageContext, days: int, status: Status
) -> dict[int, Verdict]:  # fmt: skip
    """Take what was caught out of the spool. While the database is away it waits: it must not be delivered."""
    if not caught:
        return {}
    try:
        await context.in_database(lambda: taking.take(context.owner, caught, context.now, days))
    except (DataError, IntegrityError):
        # As above.
        raise
    except DatabaseError as error:
        log.error("%d messages could not be quarantined yet: %s", len(caught), error)
        due = context.now + HOLD
        return {one.entry_id: WaitUntil(due, status, "It could not be quarantined yet") for one in caught}
    # Those that were not ours any more are for whoever holds them now.
    return {one.entry_id: Taken() for one in caught}


def _tally_scans(tallies: Tallies, scans: Sequence[Scan]) -> None:
    for one in scans:
        for answer in one.answers:
            failed = answer.said is Said.FAILED
            tallies[answer.engine].add(
                hit=answer.said is Said.INFECTED, failed=failed, seconds=answer.seconds, error=answer.text
            )
