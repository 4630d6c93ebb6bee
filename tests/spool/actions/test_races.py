"""Each action against workers that deliver the same entries at the same moment."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from mailspool.home import Home
from spool.actions import VERBS, Actor, perform
from spool.actions.selection import Selection
from spool.files import store
from spool.files.store import path_of
from spool.filters import SpoolFilter
from spool.flow import intake, leases, outcomes
from spool.message.envelope import AttemptRecord, DeliveryReport, LeasedEntry, RecipientResult
from spool.models import Entry, Outcome, Recipient, Settings, Trace, Trashed
from spool.rows import statements
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

ALL = SpoolFilter(sender="ann@example.org")
COUNT = 60
PARAMETERS: dict[str, dict[str, Any]] = {
    "priority": {"priority": "low"},
    "hold": {"reason": "x"},
    "redirect": {"to": "zoe@example.net"},
    "resend": {},
}
BUSY_LEFT_ALONE = ("reset", "hold", "delete", "move", "redirect")


class Worker:
    """Takes what is due, a few at a time, and records it as delivered; it counts what it has delivered to whom."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.delivered: Counter[tuple[str, str]] = Counter()

    def run(self) -> None:
        writer = store.Writer()
        try:
            while entries := self._take():
                self.delivered.update((e.file_name, r.address) for e in entries for r in e.recipients)
                reports = [_report(entry) for entry in entries]
                outcomes.record(self.name, reports, writer, Settings.load(), timezone.now())
        finally:
            writer.close()
            connection.close()

    def _take(self) -> list[LeasedEntry]:
        with statements.write_transaction():
            return leases.take(self.name, timezone.now(), 3, straight=True, no_delay=True)


def _report(entry: LeasedEntry) -> DeliveryReport:
    results = [RecipientResult(recipient, Outcome.DELIVERED, "250 ok") for recipient in entry.recipients]
    attempt = AttemptRecord(timezone.now(), ("x",), "mx", "192.0.2.1", "", 250, "250 ok", 0.1)
    return DeliveryReport(entry, results, [attempt])


@pytest.mark.parametrize("action", [name for name, verb in VERBS.items() if verb.selects is Selection])
def test_a_race_with_workers_neither_loses_nor_doubles_a_message(admin: Actor, action: str, home: Home) -> None:
    names = set(intake.accept([a_submission() for _ in range(COUNT)]))
    workers = [Worker("one"), Worker("two")]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    ended: list[Any] = []

    def act() -> None:
        ended.append(perform(action, ALL, admin, background=False, **PARAMETERS.get(action, {})))
        connection.close()

    threads.insert(1, threading.Thread(target=act))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    Entry.objects.filter(hold=False).update(due_at=timezone.now())
    workers[0].run()
    assert ended[0].finished
    delivered = workers[0].delivered + workers[1].delivered
    assert set(delivered.values()) <= {1}
    traced = Counter(Trace.objects.filter(outcome=Outcome.DELIVERED).values_list("file_name", "recipient"))
    assert traced == delivered
    gone = set(Trace.objects.filter(file_name__in=names).values_list("file_name", flat=True))
    trashed = set(Trashed.objects.values_list("file_name", flat=True))
    here = set(Entry.objects.values_list("file_name", flat=True))
    assert gone | trashed | here >= names
    assert not (trashed & here) and not (trashed & {name for name, _ in delivered})
    assert Recipient.objects.exclude(entry__in=Entry.objects.all()).count() == 0
    for entry in Entry.objects.all():
        assert entry.hold and path_of(entry.subspool, entry.file_name).exists()


@pytest.mark.parametrize("action", BUSY_LEFT_ALONE)
def test_what_is_on_the_wire_is_left_alone_and_counted(admin: Actor, action: str, home: Home) -> None:
    intake.accept([a_submission(), a_submission()])
    with statements.write_transaction():
        [held] = leases.take("worker", timezone.now(), 1, straight=True, no_delay=True)
    before = Entry.objects.filter(id=held.id).values().get()
    outcome = perform(action, ALL, admin, **PARAMETERS.get(action, {}))
    assert outcome.sentence == f"1 {VERBS[action].past}, 1 was being delivered"
    assert Entry.objects.filter(id=held.id).values().get() == before
    assert [r.address for r in Recipient.objects.filter(entry_id=held.id)] == ["bob@example.net"]


@pytest.mark.parametrize("action", ["force", "priority", "resend"])
def test_what_does_no_harm_on_the_wire_is_done_and_the_lease_stays(admin: Actor, action: str) -> None:
    intake.accept([a_submission()])
    with statements.write_transaction():
        [held] = leases.take("worker", timezone.now(), 1, straight=True, no_delay=True)
    perform(action, ALL, admin, **PARAMETERS.get(action, {}))
    entry = Entry.objects.get(id=held.id)
    assert (entry.leased_by, entry.status) == ("worker", "remote")
    assert entry.priority == {"force": 3, "priority": 1, "resend": 2}[action]
    assert Entry.objects.count() == (2 if action == "resend" else 1)
