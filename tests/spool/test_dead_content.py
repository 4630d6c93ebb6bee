"""What content leaves behind in PostgreSQL's tables is given to what comes, within seconds."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from spool.maintenance import vacuum
from spool.rows import dead_content
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
_MESSAGE = "x" * 4_000


def _comes_and_goes(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO spool_content (entry_id, content) SELECT n, %s FROM generate_series(1, %s) n",
            [_MESSAGE.encode(), number],
        )
        cursor.execute("DELETE FROM spool_content")
        # What others see of it is a second late otherwise.
        cursor.execute("SELECT pg_stat_force_next_flush()")


def _size() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('spool_content')")
        return int(cursor.fetchone()[0])


@pytest.fixture(autouse=True)
def without_autovacuum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM spool_content")


def test_a_few_that_went_are_no_reason() -> None:
    _comes_and_goes(10)
    assert dead_content.vacuum() == []


def test_many_that_come_and_go_take_the_room_of_those_before() -> None:
    _comes_and_goes(2_000)
    assert dead_content.vacuum() == ["spool_content"]
    once = _size()
    for _ in range(3):
        _comes_and_goes(2_000)
        dead_content.vacuum()
    assert _size() <= once + 2_000 * len(_MESSAGE)


def test_the_scheduler_sees_to_it_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vacuum, "LOOK_SECONDS", 0.1)
    _comes_and_goes(2_000)
    filled, stop = _size(), threading.Event()
    thread = threading.Thread(target=vacuum.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: _size() < filled / 2, "a vacuum", 60)
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
