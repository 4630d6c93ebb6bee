"""Two machines with a bucket for large messages: it goes away, it hangs, and the machine that took mail in dies."""

from __future__ import annotations

import pytest

from tests.crash.conftest import DATABASE, Pair
from tests.crash.ledger import Clients, Ledger, settle
from tests.crash.remains import assert_one_outcome_each
from tests.support.s3 import Gate, S3Store, s3
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

__all__ = ["s3"]

pytestmark = pytest.mark.postgresql

IN_FLIGHT = 20
_CLEAR = """
from datetime import timedelta
from django.utils import timezone
from spool.places import objects
objects.clear(timezone.now() + timedelta(hours=2))
"""


def test_no_large_message_is_lost_whatever_becomes_of_the_bucket_and_of_a_machine(
    pair: Pair, sink: CountingSink, s3: S3Store
) -> None:
    where = s3.new_bucket()
    first, second = pair({**DATABASE, **s3.env(where)})
    first.settings(max_deliveries=IN_FLIGHT)
    second.manage("check", "--mark")
    first.start()
    second.start()
    small, large = Ledger("small"), Ledger("large")
    body = "The quick brown fox jumps over the lazy dog.\r\n" * 10_000
    clients = [
        Clients(first, small, count=2, pause_seconds=0.1),
        Clients(first, large, count=2, pause_seconds=0.1, body=body),
    ]
    for some in clients:
        some.start()

    def more(ledger: Ledger, number: int) -> None:
        goal = len(ledger.acknowledged) + number
        wait_until(lambda: len(ledger.acknowledged) >= goal, f"{ledger.prefix} mail flows", 90)

    more(large, 5)
    for gate in (Gate.SHUT, Gate.SILENT):
        s3.set(gate)
        more(small, 10)
        s3.set(Gate.OPEN)
        more(large, 3)
    assert any(reply.startswith("451") for reply in large.refused.values())
    assert not small.refused
    first.kill_programs()
    for some in clients:
        some.stop()
    second.wait_until_empty(120)
    for ledger in (small, large):
        account = settle(ledger, second, sink)
        print(f"{len(ledger.acknowledged)} acknowledged: {account}")
        assert not account.lost
        assert account.local_duplicates == 0
        assert account.remote_duplicates <= 3 * IN_FLIGHT
        assert_one_outcome_each(second, ledger)
    assert second.count("spool_content") == second.count("spool_contentpart") == 0
    # What was put, and whose commit died with the machine, is found by its row.
    second.run(_CLEAR)
    assert (s3.keys(where), second.count("spool_storedobject")) == ([], 0)
