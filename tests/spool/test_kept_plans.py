"""Statements of the mail's way on PostgreSQL are planned once, and such a plan is good for a table of any size."""

from __future__ import annotations

import re
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
    statements.keep_plans()
    yield
    connection_created.disconnect(statements._keep_plans_of)
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


def test_what_each_message_needs_is_planned_once_and_goes_by_index(kept: None) -> None:
    for _ in range(3):
        through()
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode TO force_generic_plan")
        cursor.execute("SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements")
        found = cursor.fetchall()
        plans = {}
        for name, statement, parameters in found:
            nothing = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
            cursor.execute(f"EXPLAIN EXECUTE {name}{nothing}")
            plans[statement] = "\n".join(line for (line,) in cursor.fetchall())
    of_messages = [statement for statement in plans if "spool_entry" in statement]
    assert any(statement.startswith("WITH picked") for statement in of_messages)
    assert any(statement.startswith("DELETE FROM spool_entry") for statement in of_messages)
    assert any(statement.startswith("INSERT INTO spool_entry") for statement in of_messages)
    for statement, plan in plans.items():
        scans = [line for line in plan.splitlines() if re.search(r"Scan.* on spool_", line)]
        assert all(re.search(r"Index (Only )?Scan using", line) for line in scans), (statement, plan)
        # What is due is found by the index, not looked for in what another one has.
        assert plan.count("Index Cond:") == len(scans), (statement, plan)
        assert not re.search("Filter: .*(due_at|turn_at)", plan), (statement, plan)
