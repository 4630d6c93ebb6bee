"""What people read about limits: reasons, replies, notices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.models import HourlyLimit, Metric
from accounts.models.limits import MB
from throttling.subjects import Subject, SubjectKind


@dataclass(frozen=True, slots=True)
class Reached:
    """How much of a limit is used, when there is room again, and whether a message was beyond it (`over`)."""

    subject: Subject
    limit: HourlyLimit
    used: int
    until: datetime | None = None
    over: bool = False


_VERBS = {
    Metric.MESSAGES: "has sent {} messages",
    Metric.BANDWIDTH: "has sent {}",
    Metric.RECIPIENTS: "has sent to {} recipients",
    Metric.BOUNCES: "has received {} bounces",
}


def amount(metric: Metric, number: int) -> str:
    """ "1,200", or of bandwidth "12.5 MB"."""
    if metric is not Metric.BANDWIDTH:
        return f"{number:,}"
    return f"{number / MB:,.1f}".removesuffix(".0") + " MB"


def unit(metric: Metric) -> str:
    """What limits are given in."""
    return "MB" if metric is Metric.BANDWIDTH else metric.value


def reason(reached: Reached) -> str:
    """ "ann@example.org has sent 100 messages in the last hour, of 100 allowed"."""
    limit = reached.limit
    what = _VERBS[limit.metric].format(amount(limit.metric, reached.used))
    who = f"The address {reached.subject}" if reached.subject.kind is SubjectKind.IP else str(reached.subject)
    return f"{who} {what} in the last hour, of {amount(limit.metric, limit.amount)} allowed"


def reply(reached: Reached, *, permanent: bool) -> tuple[int, str, str]:
    """The SMTP reply to what a limit rejects: code, enhanced code, text."""
    text = reason(reached)
    if reached.until is not None:
        until = timezone.localtime(reached.until)
        text += f"; try again after {until:%H:%M %Z}"
    return (550, "5.7.1", text) if permanent else (450, "4.7.1", text)
