"""The incident page: of a user, an address, an IP address and a domain, all that is known, in bounded time."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Domain, Login, User
from base.action import record
from base.audit.subjects import subject_of
from mailspool.attention import items as attention
from mailspool.incident import evidence, things
from mailspool.incident.evidence import subject_group
from spool.actions import Actor
from spool.models import AlertEvent, AlertRule, Entry, Outcome, Suppression
from spool.rows import statements, traffic_batches
from spool.traffic import rollup
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
ANN, IP = "ann@example.org", "203.0.113.66"


def words(part: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", part)).strip()


def group(page: str, name: str) -> str:
    found = re.search(rf'<section[^>]*data-group="{name}".*?</section>', page, re.DOTALL)
    assert found is not None, f"no group {name}"
    return words(found[0])


def sent(
    number: int,
    *,
    user: str = ANN,
    sender: str = ANN,
    ip: str = IP,
    to: str = "",
    subject: str = "Invoice 17",
    ehlo: str = "bot.test",
) -> list[Entry]:
    made = [a_submission(sender, to or f"victim{place}@far.test", subject=subject) for place in range(number)]
    for one in made:
        one.envelope.auth_user, one.envelope.client_ip, one.envelope.ehlo_name = user, ip, ehlo
    return take_in(*made)


@pytest.fixture
def ann() -> User:
    user = User(email=ANN, domain=Domain.objects.create(name="example.org"))
    user.set_unusable_password()
    user.save()
    return user


def test_the_page_stands_among_the_tabs_of_the_overview(administrator: Client, ann: User) -> None:
    page = administrator.get(f"/admin/incident/user/{ann.email}/").content.decode()
    [tab] = re.findall(
        r'<a href="([^"]*)" aria-current="page">', page.partition('id="ms-tabs"')[2].partition("</nav>")[0]
    )
    assert tab == "/admin/"


def test_the_page_of_a_user_says_whence_whither_what_and_what_became_of_it(administrator: Client, ann: User) -> None:
    attempt(sent(3), "450 4.7.1 Try again 12345 later")
    ended = sent(2, ip="203.0.113.67", subject="Re: Invoice 18")
    attempt(ended, "550 5.1.1 No such user <x@far.test>", outcome=Outcome.BOUNCED)
    sent(1, user="", sender="stranger@other.test")
    page = administrator.get(f"/admin/incident/user/{ANN}/").content.decode()
    assert group(page, "ips").startswith(f"IP addresses IP address Number {IP} 3 60 % 203.0.113.67 2 40 %")
    assert "Invoice … 5 100 %" in group(page, "subjects")
    assert "far.test 5 100 %" in group(page, "destinations")
    assert "Waiting to Deliver: 450 4.7.1 Try again … later 3 60 %" in group(page, "results")
    assert "Bounced: 550 5.1.1 No such user … 2 40 %" in group(page, "results")
    assert "stranger@other.test" not in page.split('id="t-alike"')[0]
    assert 'href="/admin/spool/entry/?auth-user=ann%40example.org">3</a>' in page
    assert page.count("data-open") == 5
    assert "all that are in the spool or the trace" in page


@pytest.mark.parametrize(
    ("kind", "key", "number"),
    [("sender", ANN, 4), ("ip", IP, 4), ("domain", "example.org", 4), ("domain", "far.test", 5)],
)
def test_an_address_an_ip_and_a_domain_have_one_too(
    administrator: Client, ann: User, kind: str, key: str, number: int
) -> None:
    attempt(sent(3))
    attempt(sent(1, user=""), "250 Ok", outcome=Outcome.DELIVERED)
    sent(1, user="", sender="x@other.test", ip="198.51.100.9")
    page = administrator.get(f"/admin/incident/{kind}/{key}/").content.decode()
    assert sum(map(int, re.findall(r" (\d+) \d+ %", group(page, "subjects")))) == number


def test_what_there_is_more_of_than_is_looked_at_is_a_sample_and_said_to_be_one(
    administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(6)
    for module in (things, evidence):
        monkeypatch.setattr(module, "SAMPLE", 4)
    page = administrator.get(f"/admin/incident/ip/{IP}/").content.decode()
    assert "of the newest 4 messages that were looked at; there are more" in page
    assert "Invoice … 4 100 %" in group(page, "subjects")
    monkeypatch.setattr(things, "WINDOW", 3)
    page = administrator.get("/admin/incident/domain/example.org/").content.decode()
    assert "Invoice … 3 100 %" in group(page, "subjects")


def test_the_timeline_has_each_five_minutes_and_the_day(administrator: Client, ann: User) -> None:
    now = timezone.now()
    for minutes, number in ((2, 3), (20, 2), (300, 7)):
        moment = now - timedelta(minutes=minutes)
        with statements.write_transaction():
            receipts: list[traffic_batches.Receipt] = [(ANN, IP, True)] * number
            traffic_batches.receipts(receipts, moment, [ANN] * number)
            ending = (Outcome.BOUNCED.value, "remote", ANN, IP, "x@far.test", moment.isoformat())
            traffic_batches.endings([ending], moment, [ANN], [(ANN, ANN, IP, ["far.test"])] * number)
    rollup.roll_up()
    page = administrator.get(f"/admin/incident/user/{ANN}/").content.decode()
    assert 'aria-label="Per 5 minutes, last hour: Handed in 5; Delivered 0; Deferred 5; Bounced 2"' in page
    assert page.count("ov-hover") in (12, 13)
    day = administrator.get(f"/admin/incident/user/{ANN}/?range=24h").content.decode()
    assert 'aria-label="Per hour, last 24 hours: Handed in 12; Delivered 0; Deferred 12; Bounced 3"' in day
    of_ip = administrator.get(f"/admin/incident/ip/{IP}/").content.decode()
    assert "Handed in 5; Delivered 0; Deferred 5; Bounced 2" in of_ip
    there = administrator.get("/admin/incident/domain/far.test/").content.decode()
    assert "Refused or deferred there 7" in there


def test_logins_alerts_and_what_was_done_stand_in_order(administrator: Client, ann: User) -> None:
    now = timezone.now()
    Login.objects.create(
        user=ann, protocol="smtp", ip=IP, day=now.date(), first=now, last=now - timedelta(minutes=9), agent="mua"
    )
    rule = AlertRule.objects.create(name="Floods", kind="flood-user", threshold=300, minutes=5)
    AlertEvent.objects.create(
        rule=rule,
        rule_name="Floods",
        kind="flood-user",
        key=ANN,
        threshold=300,
        value=900,
        highest=900,
        began=now - timedelta(minutes=5),
    )
    record(Actor.system(), "change user", ANN, "Forwarded to x@far.test", about=subject_of(ann))
    page = administrator.get(f"/admin/incident/user/{ANN}/").content.decode()
    shown = words(page.split('id="t-events"')[1].split("</section>")[0])
    order = [shown.index(part) for part in ("Forwarded to x@far.test", "handed in 900 messages", f"from {IP} by smtp")]
    assert order == sorted(order)
    of_ip = administrator.get(f"/admin/incident/ip/{IP}/").content.decode()
    assert f"{ANN} from {IP} by smtp" in words(of_ip)


def test_accounts_that_share_addresses_subjects_or_a_greeting_are_similar(administrator: Client, ann: User) -> None:
    sent(2)
    sent(1, user="ben@example.org", sender="ben@example.org")
    sent(1, user="cid@example.org", sender="cid@example.org", ip="192.0.2.1", subject="Lunch")
    sent(1, user="", sender="far@other.test", ip="192.0.2.2", subject="Lunch", ehlo="mail.other.test")
    page = administrator.get(f"/admin/incident/user/{ANN}/").content.decode()
    alike = words(page.split('id="t-alike"')[1].split("</section>")[0])
    assert alike.index("ben@example.org") < alike.index("cid@example.org")
    assert f"Same IP address: {IP} Same subject: Invoice 17 Same EHLO name: bot.test cid@" in alike
    assert "far@other.test" not in alike


def test_a_menu_leads_there_first_and_once(administrator: Client, ann: User) -> None:
    for kind, key, place in (
        ("user", ANN, f"user/{ANN}"),
        ("sender", ANN, f"user/{ANN}"),
        ("sender", "x@far.test", "sender/x@far.test"),
        ("ip", IP, f"ip/{IP}"),
        ("domain", "far.test", "domain/far.test"),
    ):
        menu = administrator.get(f"/admin/menu/{kind}/", {"key": key}).content.decode()
        assert menu.count("Look into it") == 1
        first = re.search(r'role="menuitem"[^>]*href="([^"]*)"', menu)
        assert first is not None and first[1] == f"/admin/incident/{place}/"


def test_a_thing_is_asked_about_in_a_fixed_number_of_queries(administrator: Client, ann: User) -> None:
    def asked(kind: str, key: str) -> int:
        # The part that refreshes itself: what else a page asks for is kept for some seconds.
        with CaptureQueriesContext(connection) as queries:
            answer = administrator.get(f"/admin/incident/{kind}/{key}/", headers={"HX-Request": "true"})
        assert answer.status_code == 200
        return len(queries)

    pages = (("user", ANN), ("sender", ANN), ("ip", IP), ("domain", "example.org"))
    sent(2)
    # What is kept by the process is known from here on.
    for one in pages:
        asked(*one)
    before = [asked(*one) for one in pages]
    attempt(sent(10, subject="Other"), "550 5.0.0 No", outcome=Outcome.BOUNCED)
    sent(10, ip=IP, subject="Third", to="y@near.test")
    # One more may be asked for whether accounts have changed meanwhile: that is looked at every second.
    assert all(now <= then + 1 for now, then in zip([asked(*one) for one in pages], before, strict=True))
    assert max(before) <= 30


@pytest.mark.parametrize("path", ["user/nobody", "ip/1.2.3", "domain/a@b", "x/y", "sender/none"])
def test_what_does_not_exist_has_none(administrator: Client, path: str) -> None:
    assert administrator.get(f"/admin/incident/{path}/").status_code == 404


def test_an_account_that_is_gone_is_still_an_address(administrator: Client) -> None:
    answer = administrator.get("/admin/incident/user/gone@example.org/")
    assert answer.status_code == 302 and answer["Location"] == "/admin/incident/sender/gone@example.org/"


def test_an_alert_and_a_message_lead_there(administrator: Client, ann: User) -> None:
    [entry] = sent(1)
    popup = administrator.get(f"/admin/spool/entry/message/{entry.file_name}/", headers={"HX-Request": "true"})
    for place in (f"sender/{ANN}", f"user/{ANN}", f"ip/{IP}", "domain/far.test"):
        assert f'href="/admin/incident/{place}/"' in popup.content.decode(), place
    attempt([entry], "250 Ok", outcome=Outcome.DELIVERED)
    popup = administrator.get(f"/admin/spool/entry/message/{entry.file_name}/", headers={"HX-Request": "true"})
    for place in (f"sender/{ANN}", f"user/{ANN}", f"ip/{IP}", "domain/far.test"):
        assert f'href="/admin/incident/{place}/"' in popup.content.decode(), place
    rule = AlertRule.objects.create(name="Any", kind="flood-ip", threshold=300, minutes=5)
    for kind, key, place in (
        ("flood-user", ANN, f"user/{ANN}"),
        ("flood-sender", "x@far.test", "sender/x@far.test"),
        ("flood-ip", IP, f"ip/{IP}"),
        ("destination", "far.test", "domain/far.test"),
        ("throttled-user", IP, f"ip/{IP}"),
        ("throttled-domain", "example.org", "domain/example.org"),
        ("flood-sender", "", ""),
        ("depth", "", ""),
    ):
        event = AlertEvent.objects.create(
            rule=rule,
            rule_name="Any",
            kind=kind,
            key=key,
            threshold=300,
            value=900,
            highest=900,
            began=timezone.now(),
        )
        attention.look_again()
        for path in (f"/admin/attention/{event.pk}/", "/admin/attention/"):
            found = re.findall(r'href="/admin/incident/([^"]*)/"', administrator.get(path).content.decode())
            assert place in found if place else path == "/admin/attention/" or not found
        event.delete()


def test_an_address_is_one_however_it_is_written(administrator: Client) -> None:
    answer = administrator.get("/admin/incident/sender/X@FAR.test/")
    assert answer.status_code == 302 and answer["Location"] == "/admin/incident/sender/x@far.test/"


def test_an_address_that_is_suppressed_says_so(administrator: Client) -> None:
    now = timezone.now()
    for domain, until in (("example.org", None), ("over.test", now - timedelta(seconds=1))):
        Suppression.objects.create(
            domain=domain,
            address="dead@far.test",
            reason="bounce",
            evidence="<b>no such user",
            since=now,
            expires=until,
        )
    page = administrator.get("/admin/incident/sender/Dead@far.test/", follow=True).content.decode()
    assert f"Suppressed for example.org since {now:%Y-%m-%d}: bounced, &lt;b&gt;no such user" in page
    assert "over.test" not in page


def test_what_a_stranger_wrote_is_text(administrator: Client) -> None:
    key = "\"><script>alert(1)</script>'/..?#%@far.test"
    sent(1, user="", sender=key, subject="<script>alert(2)</script>")
    page = administrator.get(things.page_of("sender", key))
    assert page.status_code == 200
    assert "<script>alert" not in page.content.decode()


@pytest.mark.parametrize(
    ("subject", "grouped"),
    [
        ("Re: Fwd: Your order 4711 of 3 May", "Your order … of … May"),
        ("12", "…"),
        ("", "(no subject)"),
        ("re: re: re:", "(no subject)"),
    ],
)
def test_subjects_are_grouped_without_what_differs(subject: str, grouped: str) -> None:
    assert subject_group(subject) == grouped


def test_what_ended_of_a_domain_is_read_from_the_newest_rows_alone() -> None:
    """Along the order of time a whole trace would be gone through for what few of its rows have."""
    thing = things.thing_named("domain", "example.org")
    assert thing is not None
    plans = [query.explain() for query in thing.traces()]
    assert len(plans) == 2
    for plan in plans:
        assert "trace_ended" not in plan and "TEMP B-TREE" not in plan, plan
        if connection.vendor == "sqlite":
            assert "INTEGER PRIMARY KEY" in plan
