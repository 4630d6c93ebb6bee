"""The log while Redis or the database is away: a line a minute for each thing that wants it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import pytest
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from mailspool import logs

Says = Callable[..., str]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time go by."""
    now = 100.0

    def go_on(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    return go_on


@pytest.fixture
def says(clock: Callable[[float], None]) -> Says:
    """What the log has of a line; empty when it is left out."""
    seldom = logs.Seldom()

    def says(
        template: str, *args: object, name: str = "spool.flow.passes", raised: bool = False, **more: object
    ) -> str:
        record = logging.LogRecord(name, logging.ERROR, "", 0, template, args, sys.exc_info() if raised else None)
        record.__dict__.update(more)
        return logging.Formatter("{message}", style="{").format(record) if seldom.filter(record) else ""

    return says


def test_a_line_about_an_outage_comes_once_a_minute_and_then_tells_how_often(
    says: Says, clock: Callable[[float], None]
) -> None:
    away = "no leases could be taken: %s"
    assert says(away, OperationalError("gone")) == "no leases could be taken: gone"
    assert says(away, OperationalError("gone")) == says(away, OperationalError("still gone")) == ""
    assert says("mail for %s", "ann") == "mail for ann"
    clock(60)
    assert (
        says(away, OperationalError("gone")) == "no leases could be taken: gone (2 more like this since the last one)"
    )


def test_rqs_own_words_and_what_is_marked_are_such_lines(says: Says) -> None:
    away = "Worker %s: could not connect to Redis instance: %s retrying in %d seconds..."
    assert [bool(says(away, "w", "refused", 1, name="rq.worker")) for _ in range(3)] == [True, False, False]
    assert says("Worker %s: something else", "w", name="rq.worker")
    assert [bool(says("it is away", seldom=True)) for _ in range(2)] == [True, False]


def test_a_sentence_is_left_of_a_traceback_that_only_says_who_wanted_it(says: Says) -> None:
    for error in (RedisConnectionError("refused"), OperationalError("gone\nIs the server running?\n")):
        try:
            raise error
        except type(error):
            line = says(f"the page of {type(error).__name__}", raised=True)
        assert line.startswith("the page of ")
        assert "Traceback" not in line
        assert "\n" not in line


def test_other_errors_keep_their_traceback_each_time(says: Says) -> None:
    for _ in range(2):
        try:
            raise LookupError("a fault of ours")
        except LookupError:
            assert "Traceback" in says("a session failed", raised=True)
