"""A commit whose answer is lost: what it made has its file as long as it has a row, and no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.models import Role
from mailspool.home import Home
from spool.actions import Actor, perform
from spool.files import store
from spool.flow import intake, leases, outcomes
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult
from spool.models import Entry, Settings
from spool.models.entry import Origin
from spool.models.recipient import Outcome
from spool.places import undecided, whereabouts
from spool.rows import statements
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]

ADMIN = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)


class Wire:
    """The line to the database, which fails in the next transaction that inserts messages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.committing: bool | None = None
        self.afterwards: Callable[[], None] = lambda: None
        self._inserted = False
        insert_rows, write_transaction = intake.insert_rows, statements.write_transaction

        def inserting(*args: Any) -> Any:
            self._inserted = True
            return insert_rows(*args)

        @contextmanager
        def failing() -> Iterator[None]:
            self._inserted = False
            with write_transaction():
                yield
                fails, committing = self._inserted and self.committing is not None, self.committing
                if fails and not committing:
                    self.committing = None
                    raise OperationalError("could not write to the log")
            if fails:
                self.committing = None
                self.afterwards()
                raise OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(intake, "insert_rows", inserting)
        monkeypatch.setattr(statements, "write_transaction", failing)

    def lose_the_answer(self, afterwards: Callable[[], None] = lambda: None) -> None:
        """Commit, but tell nobody; `afterwards` is what others do before anybody asks."""
        self.committing, self.afterwards = True, afterwards

    def fail(self) -> None:
        """Do all but the commit."""
        self.committing = False


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


def leased(owner: str, count: int) -> list[LeasedEntry]:
    with statements.write_transaction():
        return leases.take(owner, timezone.now(), count, straight=True, no_delay=True)


def bounced(entry: LeasedEntry) -> DeliveryReport:
    return DeliveryReport(
        entry, [RecipientResult(one, Outcome.BOUNCED, "550 no such user") for one in entry.recipients]
    )


def record(reports: list[DeliveryReport]) -> None:
    outcomes.record("first", reports, store.Writer(), Settings.load(), timezone.now())


def notices() -> list[Entry]:
    return list(Entry.objects.filter(origin=Origin.DSN))


def files(home: Home) -> int:
    return sum(1 for path in home.spool.rglob("*.eml"))


def ids() -> list[int]:
    return list(Entry.objects.values_list("id", flat=True))


def test_a_notice_keeps_its_file_when_the_batch_began_with_an_entry_of_somebody_else(home: Home, wire: Wire) -> None:
    intake.accept([a_submission(), a_submission()])
    taken, ours = leased("first", 2)
    Entry.objects.filter(pk=taken.id).update(due_at=timezone.now() - timedelta(seconds=1))
    leased("second", 1)
    reports = [bounced(taken), bounced(ours)]
    wire.lose_the_answer()
    with pytest.raises(OperationalError):
        record(reports)
    record(reports)
    [notice] = notices()
    assert store.path_of(notice.subspool, notice.file_name).exists()
    assert files(home) == Entry.objects.count()


def test_a_notice_keeps_its_file_when_the_first_of_the_batch_was_deleted_meanwhile(home: Home, wire: Wire) -> None:
    intake.accept([a_submission(), a_submission()])
    reports = [bounced(entry) for entry in leased("first", 2)]
    wire.lose_the_answer()
    with pytest.raises(OperationalError):
        record(reports)
    first, second = notices()
    perform("delete", [first.id], ADMIN)
    record(reports)
    assert [notice.id for notice in notices()] == [second.id]
    assert store.path_of(second.subspool, second.file_name).exists()
    assert store.path_of(first.subspool, first.file_name).exists(), "what is in the trash can be put back"


def test_notices_of_results_that_were_not_recorded_leave_no_file(home: Home, wire: Wire) -> None:
    intake.accept([a_submission(), a_submission()])
    reports = [bounced(entry) for entry in leased("first", 2)]
    wire.fail()
    with pytest.raises(OperationalError):
        record(reports)
    record(reports)
    assert len(notices()) == 2
    assert files(home) == Entry.objects.count() == 2


def test_what_was_taken_in_and_deleted_before_anybody_asked_is_not_taken_in_again(home: Home, wire: Wire) -> None:
    wire.lose_the_answer(lambda: perform("delete", ids(), ADMIN) and None)
    [name] = intake.accept([a_submission()])
    assert not Entry.objects.exists()
    assert whereabouts.known([name]) == {name}
    assert files(home) == 1


def test_a_copy_keeps_its_file(home: Home, wire: Wire) -> None:
    intake.accept([a_submission()])
    wire.lose_the_answer()
    with pytest.raises(OperationalError):
        perform("resend", ids(), ADMIN, to="eve@example.net")
    assert files(home) == Entry.objects.count() == 2


def test_bounces_of_a_deletion_that_failed_leave_no_file(home: Home, wire: Wire) -> None:
    intake.accept([a_submission()])
    wire.fail()
    with pytest.raises(OperationalError):
        perform("delete", ids(), ADMIN, bounce=True)
    intake.accept([a_submission()])
    assert files(home) == Entry.objects.count() == 2


def test_the_file_of_a_refused_message_stays_until_a_commit_goes_through(home: Home, wire: Wire) -> None:
    """What SQLite wrote for the commit that failed may come back after a crash, until it is written over."""
    wire.fail()
    with (
        patch.object(intake, "_PAUSES", ()),
        patch.object(undecided, "settle_now", lambda: None),
        pytest.raises(intake.IntakeUnavailable),
    ):
        intake.accept([a_submission()])
    assert files(home) == 1
    intake.accept([a_submission()])
    assert files(home) == Entry.objects.count() == 1


@pytest.mark.sqlite
def test_what_a_failed_commit_wrote_is_written_over_at_once(home: Home, wire: Wire) -> None:
    wire.fail()
    with pytest.raises(intake.IntakeUnavailable):
        intake.accept([a_submission()])
    assert files(home) == 0


@pytest.mark.postgresql
def test_a_transaction_of_which_the_server_knows_nothing_is_judged_by_its_rows() -> None:
    [name] = intake.accept([a_submission()])
    future = undecided.Batch("subspool0001", [name], [2**40])
    assert undecided.fate(future) is undecided.Fate.COMMITTED
    assert undecided.fate(undecided.Batch("subspool0001", ["other.eml"], [2**40])) is undecided.Fate.ABORTED


@pytest.mark.postgresql
def test_an_open_transaction_is_not_taken_for_one_that_failed(home: Home) -> None:
    import psycopg
    from django.db import connection

    [name] = intake.accept([a_submission()])
    parameters = connection.get_connection_params()
    parameters = {key: parameters[key] for key in ("dbname", "user", "host", "port", "password") if key in parameters}
    with psycopg.connect(**parameters) as other:
        (number,) = other.execute("SELECT txid_current()").fetchone()  # type: ignore[misc]
        batch = undecided.Batch("subspool0001", [name], [number])
        assert undecided.fate(batch) is undecided.Fate.OPEN
        undecided.keep(batch)
        undecided.settle()
        assert files(home) == 1
    undecided.settle()
    assert files(home) == 1, "it had committed"


@pytest.mark.postgresql
def test_a_number_that_was_given_again_after_a_crash_proves_nothing() -> None:
    intake.accept([a_submission()])
    (committed,) = statements.execute("SELECT txid_current()", ()).fetchone()
    lost = undecided.Batch("subspool0001", ["lost.eml"], [committed])
    assert undecided.fate(lost) is undecided.Fate.ABORTED
