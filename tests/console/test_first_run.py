"""The checklist of the first run: it ticks itself, and is on the Overview until it is done or put away."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone, translation

from accounts import actions
from accounts.models import SecondFactor, User
from mailspool.first_run import steps
from mailspool.inspection.findings import Finding, ok, warning
from spool.actions import Actor
from spool.models import AlertRule, AuditEvent, Entry, Installation, Outcome
from tests.support.dns import DNSServer
from tests.support.spool_states import attempt

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
PAGE = "/admin/first-run/"


@pytest.fixture(autouse=True)
def _new(settings: Any) -> Iterator[None]:
    with DNSServer() as dns:
        settings.MAILSPOOL_DNS = dns.address
        settings.MAILSPOOL_HOSTNAME = "mail.example.org"
        dns.add("mail.example.org", "A", "192.0.2.1")
        dns.add("1.2.0.192.in-addr.arpa", "PTR", "mail.example.org.")
        dns.add("good.test", "MX", "10 mail.example.org.")
        dns.add("good.test", "TXT", '"v=spf1 mx -all"')
        steps.look_again()
        steps.forget()
        yield
        while steps.is_looking():
            time.sleep(0.01)
    steps.look_again()
    steps.forget()


def done(client: Client) -> dict[str, bool]:
    client.get(PAGE, {"again": "1"})
    return ticked(client)


def ticked(client: Client) -> dict[str, bool]:
    """What the page says once the DNS has answered."""
    page = client.get(PAGE).content.decode()
    while 'aria-busy="true"' in page:
        time.sleep(0.05)
        page = client.get(PAGE).content.decode()
    return {name: bool(state) for state, name in re.findall(r'<li(?: class="(done)")? data-step="(\w+)"', page)}


def test_each_step_ticks_itself_and_the_list_goes_when_all_are_done(
    administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'hx-get="/admin/first-run/"' in administrator.get("/admin/").content.decode()
    names = ["hostname", "certificate", "domain", "user", "test", "alerts", "factor"]
    assert list(done(administrator)) == names
    assert [name for name, is_done in done(administrator).items() if is_done] == ["hostname"]

    actions.add_domain("bad.test")
    assert not done(administrator)["domain"]
    assert "bad.test has no SPF record" in administrator.get(PAGE).content.decode()
    actions.remove(actions.get_domain("bad.test"))
    actions.add_domain("good.test")
    assert done(administrator)["domain"]
    actions.add_user("ann@good.test", "a-rather-long-secret")
    assert done(administrator)["user"]
    AlertRule.objects.create(name="Floods", kind="depth", threshold=5, mail_to="root@good.test", enabled=False)
    assert not done(administrator)["alerts"]
    AlertRule.objects.update(enabled=True)
    assert done(administrator)["alerts"]
    user = User.objects.get(email="admin@localhost")
    SecondFactor.objects.create(user=user, kind="totp", name="Phone", created=timezone.now())
    assert done(administrator)["factor"]

    def good() -> Iterator[Finding]:
        yield ok("certificate", "Valid.")

    monkeypatch.setattr("mailspool.inspection.certificate.certificate", good)
    assert done(administrator)["certificate"]

    assert administrator.post(f"{PAGE}test/", {"to": "ann@good.test"}).status_code == 302
    assert "Not delivered yet" in administrator.get(PAGE).content.decode()
    attempt([Entry.objects.get()], "250 2.0.0 Ok", outcome=Outcome.DELIVERED)
    assert all(done(administrator).values())
    assert 'hx-get="/admin/first-run/"' not in administrator.get("/admin/").content.decode()
    assert PAGE in administrator.get("/admin/").content.decode()


def test_a_test_message_that_can_not_be_sent_or_comes_back_is_told(administrator: Client) -> None:
    actions.add_domain("good.test")
    for address, reason in (("nobody", "needs a local part"), ("nobody@good.test", "5.1.1")):
        page = administrator.post(f"{PAGE}test/", {"to": address})
        assert page.status_code == 200 and reason in page.content.decode()
    assert not Entry.objects.exists()
    administrator.post(f"{PAGE}test/", {"to": "x@far.test"})
    attempt([Entry.objects.get()], "450 4.2.0 Greylisted")
    assert "Not delivered yet: 450 4.2.0 Greylisted" in administrator.get(PAGE).content.decode()
    attempt([Entry.objects.get()], "550 5.1.1 Unknown", outcome=Outcome.BOUNCED)
    assert "It was not delivered: 550 5.1.1 Unknown" in administrator.get(PAGE).content.decode()
    assert not done(administrator)["test"]


def test_it_can_be_put_away_and_found_again(administrator: Client) -> None:
    answer = administrator.post(f"{PAGE}dismiss/", headers={"HX-Request": "true"})
    assert answer.status_code == 200 and answer.content == b""
    page = administrator.get("/admin/").content.decode()
    assert 'hx-get="/admin/first-run/"' not in page and f'href="{PAGE}"' in page
    assert len(done(administrator)) == 7 and ">Dismiss<" not in administrator.get(PAGE).content.decode()
    assert AuditEvent.objects.get().action == "end first run"


def test_the_overview_does_not_wait_for_the_dns(administrator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Iterator[Finding]:
        raise AssertionError("the Overview has asked the DNS")
        yield warning("dns", "")

    monkeypatch.setattr("mailspool.inspection.names.host_name", never)
    assert administrator.get("/admin/").status_code == 200


def test_a_page_is_there_while_the_dns_is_still_being_asked(
    administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def slow() -> Iterator[Finding]:
        answered.wait()
        yield ok("dns", "It has an address.")

    monkeypatch.setattr("mailspool.inspection.names.host_name", slow)
    try:
        page = administrator.get(PAGE, {"again": "1"}).content.decode()
    finally:
        answered.set()
    assert "The DNS is being asked" in page and 'aria-busy="true"' in page
    assert ticked(administrator)["hostname"]


def test_the_shell_has_the_same(administrator: Client) -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("firstrun", "--json", stdout=out)
    assert ended.value.code == 1
    rows = {row["step"]: row for row in json.loads(out.getvalue())}
    assert {name: row["done"] for name, row in rows.items()} == done(administrator)
    assert "admin@localhost" in rows["factor"]["sentence"]
    assert Installation.objects.filter(first_run_over=None).count() == Installation.objects.count()


def test_what_was_found_is_in_the_language_of_whoever_looks() -> None:
    actions.add_domain("far.test", actor=Actor.system())
    steps.look_again()
    with translation.override("en"):
        english = {step.name: step.sentence for step in steps.steps()}
    # Nothing is looked at anew.
    with translation.override("de"):
        german = {step.name: step.sentence for step in steps.steps()}
    assert english["hostname"] == "mail.example.org is 192.0.2.1, and the reverse."
    assert german["hostname"] == "mail.example.org ist 192.0.2.1, und umgekehrt."
    assert english["certificate"].startswith("The mail ports use a self-signed one")
    assert german["certificate"].startswith("Die Mail-Ports verwenden ein selbst signiertes")
    assert 'far.test has no SPF record: add TXT "v=spf1 mx -all"' in english["domain"]
    assert "Ihr MX muss mail.example.org nennen" in german["domain"]
