"""How much of somebody's limits is used now: for whoever looks at the own account."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from accounts.models import Metric, ThrottleAction
from throttling import bounces
from throttling.counting import ledger, limits, windows
from throttling.counting.state import Window
from throttling.subjects import Subject
from throttling.wording import amount

_BEYOND = {
    ThrottleAction.NONE: _("more is only recorded"),
    ThrottleAction.DELAY: _("more waits"),
    ThrottleAction.REJECT: _("more is rejected"),
}


@dataclass(frozen=True, slots=True)
class Use:
    """One limit in words: "Messages Out", "12 of 100 in an hour; more waits"."""

    label: str
    words: str


def usage(subject: Subject) -> list[Use]:
    """Each limit of a subject. While Redis is away the ledger answers."""
    found = limits.of(subject)
    counted = [Window(subject, limit.metric) for limit in found if limit.metric is not Metric.BOUNCES]
    try:
        states = windows.look(counted)
    except RedisError:
        states = ledger.states(counted)
    uses = []
    for limit in found:
        if limit.metric is Metric.BOUNCES:
            used = bounces.returned(subject.name, limit.amount).count
        else:
            used = states[Window(subject, limit.metric)].used
        words = _("%(used)s of %(limit)s in an hour; %(beyond)s") % {
            "used": amount(limit.metric, used),
            "limit": amount(limit.metric, limit.amount),
            "beyond": _BEYOND[limit.action],
        }
        uses.append(Use(str(limit.metric.label), words))
    return uses
