"""What becomes of mail that SpamAssassin or Rspamd has not read: wait, go on, or be kept. Deciding only.

Direction by direction, as the page Antispam has it. What the other checks found is enough to catch a message all the
same; and while there are only too many questions at once, everything waits a little, whatever was chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from quarantine.models.antispam import AntispamSettings
from quarantine.models.antispam import WhenUnansweredInbound as Inbound
from quarantine.models.antispam import WhenUnansweredOutbound as Outbound
from quarantine.spam.cases import Case
from quarantine.spam.score import Findings, Judgement, Level
from spool.message.envelope import LeasedEntry
from spool.models.entry import Status
from spool.stages import HoldBack, WaitUntil

# How long what was held waits, at least and at most: a long queue must not be turned over every minute for hours.
HOLD: Final = timedelta(seconds=60)
LONGEST_HOLD: Final = timedelta(seconds=300)
# For a turn at an engine that answers: soon, and not for ever.
BUSY_HOLD: Final = timedelta(seconds=15)
LONGEST_BUSY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Recipients (their ids) of a case who wait, and until when."""

    case: Case
    recipients: frozenset[int]
    due: datetime
    reason: str

    def verdict(self) -> WaitUntil | HoldBack | None:
        """For the stage, when those who were quarantined have left the entry; None when nobody waits any more."""
        here = {one.id for one in self.case.entry.recipients}
        wait = WaitUntil(self.due, Status.SPAM_CHECK, self.reason)
        if here <= self.recipients:
            return wait if here else None
        return HoldBack(wait, frozenset(self.recipients & here)) if self.recipients & here else None


def waiting(
    judged: Sequence[tuple[Case, Findings]],
    settings: AntispamSettings,
    now: datetime,
    allowed: Mapping[int, Collection[int]],
) -> list[Waiting]:
    """Those of the messages that wait for an engine, for some of their recipients or all.

    Not for those who allow its sender: they are `allowed`, by the message.
    """
    found = []
    for case, findings in judged:
        if findings.complete:
            continue
        recipients: set[int] = set()
        silent = []
        inbound = case.as_inbound(findings, settings)
        if inbound is not None and inbound.level is not Level.HIGH and _inbound_waits(case, inbound, settings, now):
            recipients |= {one.id for one in case.received}.difference(allowed.get(case.entry.id, ()))
            silent += inbound.unanswered
        outbound = case.as_outbound(findings, settings)
        if outbound is not None and _outbound_waits(case, outbound, settings, now):
            recipients |= {one.id for one in case.sent}
            silent += outbound.unanswered
        if recipients:
            due = now + BUSY_HOLD if all(one.busy for one in silent) else held_until(case.entry, now)
            why = "; ".join(dict.fromkeys(f"{one.check}: {one.text}" for one in silent))
            found.append(Waiting(case, frozenset(recipients), due, f"Not checked for spam yet: {why}"))
    return found


def kept_unchecked(case: Case, judgement: Judgement, settings: AntispamSettings, now: datetime) -> str:
    """Why outbound mail is quarantined though little was found in it, or ""."""
    kept = settings.outbound_unanswered in (Outbound.HOLD, Outbound.QUARANTINE)
    if not judgement.unanswered or not kept or _outbound_waits(case, judgement, settings, now):
        return ""
    names = ", ".join(dict.fromkeys(one.check for one in judgement.unanswered))
    return f"Not checked for spam: no answer of {names}"


def held_until(entry: LeasedEntry, now: datetime) -> datetime:
    """When what is held is looked at again: the longer it waits, the more seldom."""
    return now + min(max(HOLD, (now - entry.counted_from) / 4), LONGEST_HOLD)


def _inbound_waits(case: Case, judgement: Judgement, settings: AntispamSettings, now: datetime) -> bool:
    holds = settings.inbound_unanswered == Inbound.HOLD
    return _waits(case, judgement, now, settings.inbound_hold_hours if holds else 0)


def _outbound_waits(case: Case, judgement: Judgement, settings: AntispamSettings, now: datetime) -> bool:
    if judgement.score >= settings.outbound_threshold:
        return False
    holds = settings.outbound_unanswered in (Outbound.HOLD, Outbound.HOLD_PASS)
    return _waits(case, judgement, now, settings.outbound_hold_hours if holds else 0)


def _waits(case: Case, judgement: Judgement, now: datetime, hours: int) -> bool:
    silent = judgement.unanswered
    if not silent:
        return False
    longest = timedelta(hours=hours)
    if all(one.busy for one in silent):
        longest = max(longest, LONGEST_BUSY)
    return now - case.entry.counted_from < longest
