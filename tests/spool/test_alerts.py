"""Alerts: when they begin and end, whom they tell, and where a webhook is not led."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from accounts.models import Role, User
from base import outgoing_http
from base.sealed import seal
from spool.alerts import outbox, watching, webhook
from spool.alerts.watches import watch_of
from spool.models import AlertEvent, AlertKind, AlertNotice, AlertRule, Entry, Recipient
from spool.rows import statements, traffic_batches
from spool.traffic import rollup
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
NOW = datetime(2026, 3, 2, 12, 30, 40, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW):
        yield


def a_rule(kind: AlertKind = AlertKind.SENDER, threshold: int = 10, **fields: Any) -> AlertRule:
    rule = AlertRule(name=f"Too much ({kind})", kind=kind, threshold=threshold, **fields)
    rule.full_clean()
    rule.save()
    return rule


def receive(sender: str, number: int, at: datetime = NOW) -> None:
    with statements.write_transaction():
        traffic_batches.receipts([(sender, "192.0.2.7", True)] * number, at)
    rollup.roll_up()


def events() -> list[tuple[str, bool]]:
    return [(event.key, event.ended is None) for event in AlertEvent.objects.order_by("pk")]


def test_a_sender_who_writes_the_name_in_several_ways_is_one() -> None:
    a_rule(threshold=20, minutes=5)
    for sender in ("dan@example.org", "Dan@example.org", "dAn@EXAMPLE.org", '"dan"@example.org'):
        receive(sender, 8)
    watching.look(NOW)
    assert events() == [("dan@example.org", True)]


def test_a_sender_over_the_threshold_is_one_alert_until_it_is_well_below() -> None:
    a_rule(minutes=5, ends_below=50)
    receive("calm@example.org", 9)
    receive("flood@example.org", 12)
    watching.look(NOW)
    watching.look(NOW + timedelta(seconds=10))
    assert events() == [("flood@example.org", True)]
    # Seven in the window: below the threshold, above its half.
    receive("flood@example.org", 7, NOW + timedelta(minutes=4))
    watching.look(NOW + timedelta(minutes=7))
    assert events() == [("flood@example.org", True)]
    watching.look(NOW + timedelta(minutes=12))
    assert events() == [("flood@example.org", False)]
    event = AlertEvent.objects.get()
    assert (event.highest, event.value) == (12, 0)


def test_the_depth_and_the_age_of_the_spool_are_watched() -> None:
    a_rule(AlertKind.DEPTH, 3)
    a_rule(AlertKind.OLDEST, 60)
    taken = take_in(a_submission(), a_submission(), a_submission())
    now = timezone.now()
    watching.look(now)
    watching.look(now + timedelta(minutes=61))
    assert sorted(AlertEvent.objects.filter(ended=None).values_list("kind", flat=True)) == ["depth", "oldest"]
    Entry.objects.filter(pk__in=[entry.pk for entry in taken]).delete()
    watching.look(now + timedelta(minutes=62))
    assert not AlertEvent.objects.filter(ended=None).exists()


def test_a_rule_that_can_not_be_looked_at_keeps_no_other_from_being_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> Any:
        raise LookupError("nobody thought of this")

    a_rule()
    a_rule(AlertKind.DEPTH, 1)
    take_in(a_submission())
    for place in ("prepare", "values"):
        AlertEvent.objects.all().delete()
        with monkeypatch.context() as patched:
            patched.setattr(type(watch_of(AlertKind.SENDER)), place, fail)
            watching.look(timezone.now())
        assert AlertEvent.objects.get().kind == "depth", place


def test_a_bounce_rate_is_made_of_enough_recipients_only() -> None:
    rule = a_rule(AlertKind.BOUNCES, 20, at_least=10)
    ending: traffic_batches.Ending = ("delivered", "remote", "a@b.test", "192.0.2.7", "x@y.test", NOW.isoformat())
    bounced: traffic_batches.Ending = ("bounced", *ending[1:])
    with statements.write_transaction():
        traffic_batches.endings([ending] * 4 + [bounced] * 4, NOW)
    rollup.roll_up()
    assert watch_of(rule.kind).values(rule, NOW, ()) == {"": 0.0}
    with statements.write_transaction():
        traffic_batches.endings([ending] * 2, NOW)
    rollup.roll_up()
    assert watch_of(rule.kind).values(rule, NOW, ()) == {"": 40.0}


def test_an_alert_whose_rule_is_removed_is_over() -> None:
    rule = a_rule()
    receive("flood@example.org", 12)
    watching.look(NOW)
    rule.delete()
    watching.look(NOW)
    assert events() == [("flood@example.org", False)]


class Receiver:
    """A webhook's other end; `status` is what it answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.calls.append((dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?room=1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.MAILSPOOL_WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    here = Receiver()
    yield here
    here.stop()


def test_a_webhook_gets_a_document_that_it_can_check(receiver: Receiver) -> None:
    a_rule(webhook_url=receiver.url, sealed_secret=seal("a secret"))
    receive("flood@example.org", 12)
    watching.look(NOW)
    outbox.send_due(timezone.now())
    [(headers, body)] = receiver.calls
    stamp = headers["X-Mailspool-Timestamp"]
    digest = hmac.new(b"a secret", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Mailspool-Signature"] == f"sha256={digest}"
    document = json.loads(body)
    assert (document["state"], document["about"], document["value"]) == ("began", "flood@example.org", 12)
    assert document["page"] == "/admin/spool/entry/?sender=flood%40example.org"
    outbox.send_due(timezone.now())
    assert len(receiver.calls) == 1


def test_a_webhook_that_fails_is_called_again_until_it_answers(receiver: Receiver) -> None:
    a_rule(webhook_url=receiver.url)
    receive("flood@example.org", 12)
    watching.look(NOW)
    receiver.status = 503
    now = timezone.now()
    outbox.send_due(now)
    outbox.send_due(now + timedelta(seconds=5))
    assert len(receiver.calls) == 1
    assert "answered 503" in AlertNotice.objects.get().outcome
    receiver.status = 200
    outbox.send_due(now + timedelta(seconds=31))
    assert len(receiver.calls) == 2
    assert AlertNotice.objects.get().done


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status = 302
    with pytest.raises(webhook.NotDelivered, match="redirects are not followed"):
        webhook.post(receiver.url, {}, "", NOW)
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://0.0.0.0:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://[fe80::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fd00::1]/",
        "https://ä..test/",
        "https://a..test/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
    ],
)
def test_a_webhook_does_not_lead_inside(receiver: Receiver, settings: Any, url: str) -> None:
    settings.MAILSPOOL_WEBHOOK_NETWORKS = []
    with pytest.raises(webhook.NotDelivered):
        webhook.post(url.format(port=receiver.url.rpartition(":")[2].partition("/")[0]), {}, "", NOW)
    assert receiver.calls == []


def test_a_name_of_which_one_address_lies_inside_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(outgoing_http.socket, "getaddrinfo", lambda *args, **options: found)
    with pytest.raises(webhook.NotDelivered, match=r"10\.0\.0\.1"):
        outgoing_http.resolve("rebind.example", 443, is_tls=True)


@pytest.mark.parametrize(
    "url", ["ftp://x.test/", "https://", "https://user:pw@x.test/", "https://x.test:99999/", "https://x.test/\r\nX: y"]
)
def test_what_is_no_webhooks_address_is_said_at_once(url: str) -> None:
    with pytest.raises(ValidationError):
        a_rule(webhook_url=url)


def test_people_are_told_by_mail_from_the_null_sender() -> None:
    a_rule(mail_to="ops@elsewhere.test\nboss@elsewhere.test")
    receive("flood@example.org", 12)
    watching.look(NOW)
    outbox.send_due(timezone.now())
    entries = Entry.objects.order_by("id")
    assert [(e.sender, e.priority) for e in entries] == [("", 3), ("", 3)]
    assert "flood@example.org: 12 messages, the threshold is 10" in entries[0].subject
    addresses = ["boss@elsewhere.test", "ops@elsewhere.test"]
    assert sorted(Recipient.objects.values_list("address", flat=True)) == addresses


def test_a_sender_with_line_breaks_of_unicode_in_its_name_is_told_of_as_well() -> None:
    a_rule(mail_to="ops@elsewhere.test")
    receive("flood\u2028er\u0085@example.org", 12)
    watching.look(NOW)
    outbox.send_due(timezone.now())
    assert "flood\ufffder\ufffd@example.org: 12 messages" in Entry.objects.get().subject


def test_one_notice_that_can_not_be_made_keeps_no_other_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def mail(notice: AlertNotice, now: datetime) -> str:
        if notice.target.startswith("boss"):
            raise ValueError("nothing can be made of this")
        return "sent"

    monkeypatch.setattr(outbox, "_mail", mail)
    a_rule(mail_to="boss@elsewhere.test\nops@elsewhere.test")
    receive("flood@example.org", 12)
    watching.look(NOW)
    outbox.send_due(timezone.now())
    told = dict(AlertNotice.objects.values_list("target", "outcome"))
    assert told == {"boss@elsewhere.test": "nothing can be made of this", "ops@elsewhere.test": "sent"}


def test_an_administrator_makes_a_rule_tests_it_and_reads_the_history(client: Client, receiver: Receiver) -> None:
    user = User(email="admin@localhost", role=Role.SYSTEM_ADMINISTRATOR)
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    values = {
        "name": "Flood",
        "enabled": "on",
        "kind": "sender",
        "threshold": "10",
        "minutes": "5",
        "at_least": "50",
        "ends_below": "80",
        "mail_to": "ops@elsewhere.test",
        "webhook_url": receiver.url,
        "secret": "",
    }
    made = client.post("/admin/spool/alertrule/add/", values, follow=True).content.decode()
    assert "shown this once" in made
    rule = AlertRule.objects.get()
    page = client.get(f"/admin/spool/alertrule/{rule.pk}/test/").content.decode()
    assert "ops@elsewhere.test, by mail" in page
    assert receiver.calls == []
    page = client.post(f"/admin/spool/alertrule/{rule.pk}/test/").content.decode()
    assert "answered 204" in page
    assert json.loads(receiver.calls[0][1])["test"] is True
    assert "This is a test" in Entry.objects.get().subject
    history = client.get("/admin/spool/alertevent/").content.decode()
    assert "Flood" in history
    assert "/admin/spool/entry/?sender=someone%40example.org" in history
    wrong = client.post(f"/admin/spool/alertrule/{rule.pk}/change/", {**values, "mail_to": "nonsense"}).content.decode()
    assert "nonsense" in wrong
    assert "is not" in wrong or "no @" in wrong or "address" in wrong
