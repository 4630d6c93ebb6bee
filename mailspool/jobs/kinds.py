"""What jobs are called, by the function that they call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.numbers import grouped
from base.texts import Text
from spool.actions import WORKS
from spool.models import BulkJob

_LABELS: Final[Mapping[str, Text]] = {
    "spool.tasks.run_pass": _lazy("Delivery pass"),
    "spool.tasks.forget": _lazy("Housekeeping"),
    "spool.tasks.run_bulk_job": _lazy("Action on messages"),
}
_BULK_JOB: Final = re.compile(r"spool\.tasks\.run_bulk_job\((\d{1,18})\)")


def function_of(call: str) -> str:
    return call.partition("(")[0]


def label_of(call: str) -> str:
    """What a call is for; its function by its whole name where that is none of ours."""
    function = function_of(call)
    return str(_LABELS.get(function, function or _("A job")))


def details_of(calls: Iterable[str]) -> dict[str, str]:
    """What calls are about, where that can be told. One query at most."""
    numbers = {call: int(found[1]) for call in calls if (found := _BULK_JOB.match(call))}
    jobs = BulkJob.objects.in_bulk(set(numbers.values())) if numbers else {}
    return {call: _detail(jobs[number]) for call, number in numbers.items() if number in jobs}


def _detail(job: BulkJob) -> str:
    verb = WORKS.get(job.action)
    return _("%(action)s, %(done)s of %(total)s, by %(actor)s") % {
        "action": verb.label if verb else job.action,
        "done": grouped(job.done),
        "total": grouped(job.total),
        "actor": job.actor,
    }
