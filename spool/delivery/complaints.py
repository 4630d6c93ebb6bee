"""Complaints that come to an address of ours (ARF): what they say of whom.

Anybody can write one. So it counts only for a message that left here, by the Message-ID that it returns and the
recipient that it names, or who alone got it; only who got a message, or sent it, knows the former.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from accounts.addresses import key_of
from spool import suppression
from spool.delivery.bounces import LONGEST_AWAY, is_strangers
from spool.dsn.feedback import Complaint
from spool.models.recipient import Kind, Outcome
from spool.models.suppression import Finding, SuppressionReason
from spool.models.trace import Trace

_MOST_LINES: Final = 200


def findings(complaints: Iterable[Complaint], now: datetime) -> list[Finding]:
    """What they are evidence of: a query for each, and most mail brings none."""
    return [finding for one in complaints if (finding := _finding(one, now)) is not None]


def _finding(complaint: Complaint, now: datetime) -> Finding | None:
    if not complaint.message_id:
        return None
    lines = [
        line
        for line in Trace.objects.filter(
            message_id=complaint.message_id,
            outcome=Outcome.DELIVERED,
            kind=Kind.REMOTE,
            ended__gt=now - 4 * LONGEST_AWAY,
        ).order_by("-id")[:_MOST_LINES]
        if not is_strangers(line.sender, line.original, line.auth_user, line.client_ip)
    ]
    named = key_of(complaint.recipient)
    who = {key_of(line.recipient) for line in lines}
    who = who & {named} if named else who
    if len(who) != 1:
        return None
    [address] = who
    line = next(line for line in lines if key_of(line.recipient) == address)
    by = f" by {complaint.reporter}" if complaint.reporter else ""
    said = f"{complaint.kind} reported{by}: {line.subject or complaint.message_id}"
    return Finding(suppression.domain_of_sender(line.sender), address, SuppressionReason.COMPLAINT, said)
