"""Recording results: what one of them spoils is its own."""

from __future__ import annotations

import time

import pytest
from django.utils import timezone

from spool.flow import intake, leases
from spool.flow.lanes import Want
from spool.flow.rounds import Rounds
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult
from spool.models import Entry, Trace
from spool.models.recipient import Outcome
from spool.rows import statements
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def delivered(entry: LeasedEntry) -> DeliveryReport:
    return DeliveryReport(entry, [RecipientResult(one, Outcome.DELIVERED, "250 ok") for one in entry.recipients])


def test_a_result_that_breaks_a_constraint_is_set_aside_at_once_and_stops_no_other() -> None:
    [taken_name] = intake.accept([a_submission()])
    Entry.objects.update(hold=True, due_at=None)
    intake.accept([a_submission(), a_submission()])
    with statements.write_transaction():
        good, bad = leases.take("worker", timezone.now(), 10, straight=True, no_delay=True)
    # A copy under the name of another message.
    impossible = a_submission()
    impossible.file_name = taken_name
    report = delivered(bad)
    report.spawned.append(impossible)
    rounds = Rounds("worker", [])
    started = time.monotonic()
    rounds.visit([delivered(good), report], [], [], Want())
    rounds.close()
    assert time.monotonic() - started < 5
    # The other server took the second message as well: that is known, whatever came of the copy.
    assert sorted(trace.file_name for trace in Trace.objects.all()) == sorted([good.file_name, bad.file_name])
    row = Entry.objects.get(pk=bad.id)
    assert row.failures == 1
    assert "IntegrityError" in row.traceback
