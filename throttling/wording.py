"""What people read about limits: reasons, replies, notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext_lazy

from accounts.models import HourlyLimit, Metric
from accounts.models.limits import MB
from base.languages import SOURCE
from base.numbers import decimal, grouped
from throttling.subjects import Subject, SubjectKind


@dataclass(frozen=True, slots=True)
class Reached:
    """How much of a limit is used, when there is room again, and whether a message was beyond it (`over`)."""

    subject: Subject
    limit: HourlyLimit
    used: int
    until: datetime | None = None
    over: bool = False


_SAID = {
    Metric.MESSAGES: ngettext_lazy(
        "%(who)s has sent %(used)s message in the last hour, of %(limit)s allowed",
        "%(who)s has sent %(used)s messages in the last hour, of %(limit)s allowed",
        "number",
    ),
    Metric.BANDWIDTH: ngettext_lazy(
        "%(who)s has sent %(used)s in the last hour, of %(limit)s allowed",
        "%(who)s has sent %(used)s in the last hour, of %(limit)s allowed",
        "number",
    ),
    Metric.RECIPIENTS: ngettext_lazy(
        "%(who)s has sent to %(used)s recipient in the last hour, of %(limit)s allowed",
        "%(who)s has sent to %(used)s recipients in the last hour, of %(limit)s allowed",
        "number",
    ),
    Metric.BOUNCES: ngettext_lazy(
        "%(who)s has received %(used)s bounce in the last hour, of %(limit)s allowed",
        "%(who)s has received %(used)s bounces in the last hour, of %(limit)s allowed",
        "number",
    ),
}


def templates(metric: Metric) -> list[str]:
    """What `reason` says in English, with named places in it, of one and of many."""
    places = {name: f"%({name})s" for name in ("who", "used", "limit")}
    with translation.override(SOURCE):
        return [str(_SAID[metric] % {**places, "number": number}) for number in (1, 2)]


def again(metric: Metric, values: Mapping[str, str]) -> str:
    """The same in the language that is active, from what an English one has in its places. Raises ValueError."""
    used, limit = (_read(metric, values[name]) for name in ("used", "limit"))
    said = {"who": values["who"], "used": amount(metric, used), "limit": amount(metric, limit)}
    client = values["who"].removeprefix("The address ")
    if client != values["who"]:
        said["who"] = _("The address %(ip)s") % {"ip": client}
    return _SAID[metric] % {**said, "number": used}


def _read(metric: Metric, text: str) -> int:
    number = text.replace(",", "")
    return round(float(number.removesuffix(" MB")) * MB) if metric is Metric.BANDWIDTH else int(number)


def amount(metric: Metric, number: int) -> str:
    """ "1,200", or of bandwidth "12.5 MB"."""
    if metric is not Metric.BANDWIDTH:
        return grouped(number)
    tenths = round(number / MB * 10)
    return (grouped(tenths // 10) if tenths % 10 == 0 else decimal(tenths / 10, 1)) + " MB"


_UNITS = {
    Metric.MESSAGES: _lazy("messages"),
    Metric.RECIPIENTS: _lazy("recipients"),
    Metric.BOUNCES: _lazy("bounces"),
}


def unit(metric: Metric) -> str:
    """What limits are given in."""
    return "MB" if metric is Metric.BANDWIDTH else str(_UNITS[metric])


def reason(reached: Reached) -> str:
    """ "ann@example.org has sent 100 messages in the last hour, of 100 allowed"."""
    limit = reached.limit
    is_client = reached.subject.kind is SubjectKind.IP
    return _SAID[limit.metric] % {
        "who": _("The address %(ip)s") % {"ip": reached.subject} if is_client else str(reached.subject),
        "number": reached.used,
        "used": amount(limit.metric, reached.used),
        "limit": amount(limit.metric, limit.amount),
    }


def reply(reached: Reached, *, permanent: bool) -> tuple[int, str, str]:
    """The SMTP reply to what a limit rejects: code, enhanced code, text."""
    text = reason(reached)
    if reached.until is not None:
        until = timezone.localtime(reached.until)
        text += f"; try again after {until:%H:%M %Z}"
    return (550, "5.7.1", text) if permanent else (450, "4.7.1", text)
