"""One message at the Spam Check: which checks look at it, and whose copies what they say is about.

Direction is a matter of each recipient. What came from outside is looked at as inbound, whatever becomes of it: an
alias that leads away, a forward, a list. What leaves is looked at as outbound besides. Our own people's mail to each
other is inbound. All checks are asked once; each direction counts those that are meant for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quarantine.engines.examined import Examined
from quarantine.models.antispam import AntispamSettings
from quarantine.models.check import Check
from quarantine.spam.score import Findings, Judgement, weigh
from spool.message.envelope import LeasedEntry, LeasedRecipient
from spool.models.entry import Direction, Origin
from spool.models.recipient import Kind
from spool.trusted import is_surely_ours


@dataclass(frozen=True, slots=True)
class Directions:
    """The checks that are on, and whether spam that leaves is caught."""

    inbound: Sequence[Check] = ()
    outbound: Sequence[Check] = ()

    @classmethod
    def of(cls, checks: Sequence[Check], settings: AntispamSettings) -> Directions:
        """As the page Antispam has them."""
        outbound = [check for check in checks if check.outbound] if settings.outbound_quarantine else []
        return cls([check for check in checks if check.inbound], outbound)


@dataclass(slots=True)
class Case:
    """`received` are the recipients whose copies come in, `sent` those whose copies leave; a copy may do both."""

    entry: LeasedEntry
    examined: Examined
    directions: Directions
    received: list[LeasedRecipient]
    sent: list[LeasedRecipient]
    is_from_trusted: bool = False
    known: Findings | None = None

    @property
    def wanted(self) -> list[Check]:
        """The checks that look at it."""
        inbound = list(self.directions.inbound) if self.received else []
        outbound = self.directions.outbound if self.sent else []
        return inbound + [check for check in outbound if check not in inbound]

    def as_inbound(self, findings: Findings, settings: AntispamSettings) -> Judgement | None:
        """What it is to those who receive it; None when nobody asks."""
        if not self.received or not self.directions.inbound:
            return None
        return weigh(_without(findings, self.directions.outbound, self.directions.inbound), settings)

    def as_outbound(self, findings: Findings, settings: AntispamSettings) -> Judgement | None:
        """What it is to those to whom it is sent; None when nobody asks."""
        if not self.sent or not self.directions.outbound:
            return None
        return weigh(_without(findings, self.directions.inbound, self.directions.outbound), settings)


def case_of(
    entry: LeasedEntry,
    directions: Directions,
    *,
    ours: bool,
    is_from_trusted: bool,
    known: Findings | None,
    max_content_bytes: int,
) -> Case:
    """`ours`: it comes from one of us."""
    remote = [one for one in entry.recipients if one.kind is Kind.REMOTE]
    received = [one for one in entry.recipients if one.kind is Kind.LOCAL] if ours else list(entry.recipients)
    examined = examined_of(entry, ours=ours, max_content_bytes=max_content_bytes)
    return Case(entry, examined, directions, received, remote, is_from_trusted, known)


def examined_of(entry: LeasedEntry, *, ours: bool, max_content_bytes: int) -> Examined:
    """An entry as the checks see it."""
    return Examined(
        entry.path,
        entry.size_bytes,
        entry.sender,
        tuple(one.address for one in entry.recipients),
        entry.client_ip,
        entry.ehlo_name,
        entry.auth_user,
        ours,
        entry.origin == Origin.LIST,
        max_content_bytes,
        entry.content,
    )


def comes_in(entry: LeasedEntry) -> bool:
    """Whether some copy of it may come in, as far as that can be told without a look at the lists."""
    if is_surely_ours(entry) is not True:
        return True
    return entry.direction != Direction.OUTBOUND or any(one.kind is Kind.LOCAL for one in entry.recipients)


def goes_out(entry: LeasedEntry) -> bool:
    """Whether some copy of it leaves."""
    return entry.direction == Direction.OUTBOUND


def _without(findings: Findings, others: Sequence[Check], these: Sequence[Check]) -> Findings:
    """What counts for one direction. What is of a check that is gone by now still counts."""
    names = {check.name for check in others} - {check.name for check in these}
    if not names:
        return findings
    return Findings([one for one in findings.results if one.check not in names], findings.authenticated)
