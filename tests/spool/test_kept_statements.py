"""Statements of the mail's way are parsed once by PostgreSQL, and planned for the tables as they are each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.utils import timezone

from spool.flow import intake, leases
from spool.flow.lanes import Want
from spool.flow.rounds import Rounds
from spool.message.envelope import DeliveryReport, RecipientResult
from spool.models.recipient import Outcome
from spool.rows import lease, statements
from tests.support.messages import a_submission

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis", "home"),
]


@pytest.fixture
def kept() -> Iterator[None]:
    connection.close()
    statements.keep_statements()
    yield
    connection_created.disconnect(statements._keep_statements_of)
    connection.close()


def through() -> None:
    """One message, from the door to its trace."""
    intake.accept([a_submission()])
    with statements.write_transaction():
        [entry] = leases.take("worker", timezone.now(), 10, straight=True, no_delay=True, early=True)
    lease.earliest_due()
    report = DeliveryReport(entry, [RecipientResult(one, Outcome.DELIVERED, "250 ok") for one in entry.recipients])
    rounds = Rounds("worker", [])
    rounds.visit([report], [], [], Want())
    connection.connection.commit()


def test_what_each_message_needs_is_parsed_once_and_planned_each_time(kept: None) -> None:
    # After five times the server would think about a plan for good.
    for _ in range(10):
        through()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
        found = {statement: (for_good, anew) for statement, for_good, anew in cursor.fetchall()}
    for beginning in ("WITH picked", "DELETE FROM spool_entry", "INSERT INTO spool_entry", "SELECT entry_id, content"):
        [(for_good, anew)] = [counts for statement, counts in found.items() if statement.startswith(beginning)]
        assert (for_good, anew) == (0, 10), beginning
    # Where there are no parameters there is but one plan.
    assert [statement for statement, (for_good, _) in found.items() if for_good and "$1" in statement] == []
