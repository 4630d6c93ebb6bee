"""A query of the console that takes too long is stopped, and the page says so."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from mailspool import query_limit, urls

FOR_EVER = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) SELECT count(*) FROM n"
)


def _slow(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(FOR_EVER)
        cursor.fetchall()
    return HttpResponse("done")


urlpatterns = [path("slow", _slow), *urls.urlpatterns]
handler500 = urls.handler500
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


@pytest.fixture
def limited() -> Iterator[None]:
    """The connection of this thread, as in the web process, but soon tired."""
    connection.ensure_connection()
    query_limit.limit(connection, 0.2)
    yield
    connection.execute_wrappers.clear()
    connection.close()


def test_the_page_says_so_and_the_connection_goes_on(limited: None, client: Client) -> None:
    client.raise_request_exception = False
    answer = client.get("/slow")
    assert (answer.status_code, "This took too long" in answer.text) == (503, True)
    assert "away" not in answer.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_another_error_of_the_database_is_not_taken_for_it(limited: None) -> None:
    assert not query_limit.was_stopped(OperationalError("the server closed the connection"))


@pytest.mark.sqlite
def test_who_reads_the_rows_slowly_is_not_stopped(limited: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_limit, "_PAUSE_SECONDS", 0.1)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) SELECT i FROM n"
    with connection.cursor() as cursor:
        cursor.execute(numbers)
        rows = 0
        while some := cursor.fetchmany(20_000):
            rows += len(some)
            time.sleep(0.15)
    assert rows == 60_000


@pytest.mark.postgresql
def test_what_the_address_of_the_database_says_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"options": "-c statement_timeout=5min"})
    query_limit.limit(connection, 0.2)
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
