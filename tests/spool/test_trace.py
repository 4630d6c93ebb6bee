"""What left the spool: found for as many days as the settings say, then forgotten in chunks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from spool import tasks
from spool.models import Attempt, ReceivedBounce, Settings, Trace
from spool.models.recipient import Kind, Outcome
from tests.support.commands import Manage, manage_with

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "01m87qmv0npxqah6bnetr78407.eml"


def a_trace(ended: datetime, recipient: str = "bob@example.net", **fields: Any) -> Trace:
    values: dict[str, Any] = {
        "file_name": NAME,
        "sender": "ann@example.org",
        "recipient": recipient,
        "kind": Kind.REMOTE,
        "outcome": Outcome.DELIVERED,
        "reply": "250 2.0.0 taken",
        "host": "mx.example.net",
        "client_ip": "192.0.2.7",
        "subject": "Lunch",
        "message_id": "<1@example.org>",
        "size_bytes": 4096,
        "attempts": 1,
        "created": ended - timedelta(minutes=3),
        "ended": ended,
    }
    return Trace(**{**values, **fields})


def an_attempt(at: datetime) -> Attempt:
    return Attempt(file_name=NAME, at=at, host="mx.example.net", reply="250 2.0.0 taken")


class TestForgetting:
    def test_what_is_older_than_the_days_of_the_settings_goes_and_the_rest_stays(self) -> None:
        Settings.load()
        Settings.objects.update(trace_days=10)
        now = timezone.now()
        old, young = now - timedelta(days=10, minutes=1), now - timedelta(days=9, hours=23)
        Trace.objects.bulk_create([a_trace(old, "old@example.net"), a_trace(young, "young@example.net")])
        Attempt.objects.bulk_create([an_attempt(old), an_attempt(young)])
        for received in (old, young):
            ReceivedBounce.objects.create(user="ann@example.org", domain="example.org", received=received)
        tasks.forget()
        assert [trace.recipient for trace in Trace.objects.all()] == ["young@example.net"]
        assert Attempt.objects.count() == ReceivedBounce.objects.count() == 1

    def test_many_go_in_chunks_each_in_a_short_transaction(self) -> None:
        old = timezone.now() - timedelta(days=100)
        Trace.objects.bulk_create((a_trace(old, f"r{n}@example.net") for n in range(12_000)), batch_size=1000)
        Trace.objects.bulk_create([a_trace(timezone.now())])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            tasks.forget()
        deletions = [query["sql"] for query in queries if query["sql"].startswith('DELETE FROM "spool_trace"')]
        assert 3 <= len(deletions) <= 12
        assert Trace.objects.count() == 1


class TestShow:
    @pytest.fixture
    def manage(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
        return manage_with(capsys, monkeypatch, "spool")

    @pytest.mark.parametrize("name", [NAME, NAME.removesuffix(".eml")])
    def test_a_message_that_has_left_shows_what_the_trace_knows(self, manage: Manage, name: str) -> None:
        now = timezone.now()
        failed = {"outcome": Outcome.BOUNCED, "reply": "550 5.1.1 no such user"}
        Trace.objects.bulk_create([a_trace(now), a_trace(now, "zoe@example.net", **failed)])
        Attempt.objects.bulk_create([an_attempt(now)])
        shown = manage("spool", "show", name)
        assert shown.status == 0
        for text in (
            "has left the spool",
            "ann@example.org",
            "Lunch",
            "4 KB",
            "192.0.2.7",
            "<1@example.org>",
            "bob@example.net delivered: 250 2.0.0 taken (mx.example.net)",
            "zoe@example.net bounced: 550 5.1.1 no such user",
        ):
            assert text in shown.out
        as_json = manage("spool", "show", name, "--json").json
        assert as_json["Filename"] == NAME and len(as_json["ended"]) == 2 and len(as_json["attempts"]) == 1

    def test_one_that_nothing_is_known_of_is_said_so(self, manage: Manage) -> None:
        shown = manage("spool", "show", "nothing.eml")
        assert shown.status == 1
        assert "There is no message nothing.eml in the spool, and the trace does not know it." in shown.err
