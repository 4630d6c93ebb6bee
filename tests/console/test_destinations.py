"""The pages of destinations: what they say of sites, where they lead, that they stay cheap, and who may do what."""

from __future__ import annotations

import gc
import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import actions as accounts
from accounts.models import Role, User
from base.short_cache import ShortCache
from mailspool.destinations import counted, views
from spool.actions import Actor, destination_rules
from spool.alerts.destinations import RefusedAddress
from spool.delivery import sources as sources_of_ours
from spool.delivery.shaping import domains, encryption, limits
from spool.delivery.shaping.classes import ReplyClass
from spool.delivery.shaping.limits import About, Key, Report
from spool.message.encryption import Proof
from spool.models import (
    AuditEvent,
    Destination,
    DestinationRule,
    Entry,
    Settings,
    SourceAddress,
    TrafficCount,
    TrafficKind,
)
from spool.rows import statements
from spool.traffic.rollup import minute_of
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
LIST, ONE = reverse("destinations"), reverse("destination")
REFUSAL = "421 4.7.28 unusual rate of mail"
BLOCKED = "554 5.7.1 your address is on our block list"


def _waiting(count: int, domain: str, reply: str = REFUSAL) -> list[Entry]:
    entries = take_in(*(a_submission(to=[f"u{number}@{domain}"]) for number in range(count)))
    attempt(entries, reply, host=f"mx.{domain}")
    return entries


def _refused(site: str, about: ReplyClass, text: str, times: int = 1) -> None:
    key = Key(site)
    for _ in range(times):
        report = Report(
            key, About.REFUSED, timezone.now(), about, took=240, code=int(text[:3]), text=text, domain="far.test"
        )
        with statements.write_transaction():
            limits.apply([report])


@pytest.fixture
def sites() -> None:
    """Google slowed, with two domains that wait; one host that refuses our address; one that is fine."""
    domains.remember(
        [
            ("far.test", Key("Google")),
            ("also.test", Key("Google")),
            ("bad.test", Key("mx.bad.test")),
            ("fine.test", Key("mx.fine.test mx2.fine.test")),
        ],
        timezone.now(),
    )
    _waiting(3, "far.test")
    _waiting(2, "also.test", "450 4.2.0 later")
    _waiting(1, "bad.test", BLOCKED)
    _waiting(1, "unknown.test", "the DNS gave no answer for unknown.test: its servers failed")
    _refused("Google", ReplyClass.RATE, REFUSAL)
    _refused("mx.bad.test", ReplyClass.REPUTATION, BLOCKED)
    minute = minute_of(timezone.now())
    for kind, number in ((TrafficKind.ANSWERED_DOMAIN, 60), (TrafficKind.REFUSED_DOMAIN, 10)):
        TrafficCount.objects.create(kind=kind, key="fine.test", minute=minute, span=1, number=number)


def _lines(browser: Client, **query: str) -> dict[str, Any]:
    cache.clear()
    return {line.name: line for line in browser.get(LIST, query).context["lines"]}


@pytest.mark.usefixtures("sites")
def test_destinations_with_trouble_come_first_with_what_waits_and_how_fast_it_goes(administrator: Client) -> None:
    lines = _lines(administrator)
    assert list(lines) == ["mx.bad.test", "Google", "unknown.test", "mx.fine.test"]
    google, fine = lines["Google"], lines["mx.fine.test"]
    assert (google.state.words, google.waiting.number, set(google.domains)) == ("Slowed", 5, {"far.test", "also.test"})
    assert google.limits == ("120 messages a minute",)
    assert (fine.more_hosts, fine.counted.per_minute, fine.counted.refused) == (1, 10.0, 10)
    assert lines["mx.bad.test"].state.words == "Suspended"
    assert lines["unknown.test"].key == ""
    assert next(iter(_lines(administrator, sort="waiting"))) == "Google"
    assert next(iter(_lines(administrator, sort="-name"))) == "unknown.test"
    assert list(_lines(administrator, show="suspended")) == ["mx.bad.test"]
    # By a domain that it goes by, of which nothing else is known.
    assert list(_lines(administrator, q="ALSO.te")) == ["Google"]
    assert "Nothing matches" in administrator.get(LIST, {"q": "nowhere"}).text
    assert administrator.get(LIST, {"sort": "x", "show": "x", "page": "0"}).status_code == 200


def test_of_very_many_with_a_limit_some_are_listed_and_the_others_where_mail_waits_and_when_they_are_searched(
    administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_LIMITED", 2)
    now = timezone.now()
    Destination.objects.bulk_create(
        Destination(site=f"mx.of{number}.test", rate_by_hand=5, since=now, changed=now - timedelta(hours=number))
        for number in range(5)
    )
    domains.remember([("of4.test", Key("mx.of4.test"))], now)
    _waiting(1, "of4.test")
    lines = _lines(administrator)
    assert set(lines) == {"mx.of0.test", "mx.of1.test", "mx.of4.test"}
    assert lines["mx.of4.test"].limits == ("5 messages a minute",)
    assert "Search for others" in administrator.get(LIST).text
    [found] = _lines(administrator, q="of3.te").values()
    assert (found.name, found.limits) == ("mx.of3.test", ("5 messages a minute",))
    monkeypatch.setattr(views, "MOST_LIMITED", 5)
    assert "Search for others" not in administrator.get(LIST).text


def test_limits_that_were_not_changed_are_not_read_again() -> None:
    now = timezone.now()
    for number in range(3):
        Destination.objects.create(site=f"mx.of{number}.test", rate_by_hand=5, since=now, changed=now)
    limits.forget_cache()
    assert len(limits.read().limits) == 3
    with CaptureQueriesContext(connection) as queries:
        assert len(limits.read().limits) == 3
    assert len(queries) == 1
    _refused("mx.of1.test", ReplyClass.RATE, REFUSAL)
    Destination.objects.filter(site="mx.of2.test").delete()
    found = limits.read().limits
    assert set(found) == {Key("mx.of0.test"), Key("mx.of1.test")}
    assert found[Key("mx.of1.test")].learned.rate == 120


@pytest.mark.usefixtures("sites")
def test_the_page_of_one_has_its_limits_their_evidence_and_what_waits(administrator: Client) -> None:
    answer = administrator.get(ONE, {"key": "Google"})
    [(limit, amount, reason)] = answer.context["limits"]
    assert (amount, reason, limit.is_by_hand) == (
        "120 messages a minute",
        "It says that we send too much or too fast",
        False,
    )
    assert limit.until - limit.since == timedelta(hours=24)
    assert answer.context["evidence"][0][0]["text"] == REFUSAL
    waits = [(one.domain, one.number) for one in answer.context["waits"]]
    assert waits == [("far.test", 3), ("also.test", 2)]
    listed = administrator.get(f"{reverse('admin:spool_entry_waiting')}?{answer.context['waits'][0].query}")
    assert len(listed.context["listing"].entries) == 3
    assert answer.context["answers"] == []
    assert "No connection is known." in answer.text
    seen = encryption.Encryption(
        Proof.DANE, "TLSv1.3 X (verified by DANE)", "mx.google.test", "far.test", timezone.now()
    )
    encryption.remember([((Key("Google"), Proof.DANE), seen)])
    assert "Verified by DANE" in administrator.get(ONE, {"key": "Google"}).text
    # Its own hosts alone.
    [bad] = administrator.get(ONE, {"key": "mx.bad.test"}).context["answers"]
    assert (bad.code, bad.text, bad.number) == (554, BLOCKED.removeprefix("554 "), 1)
    fine = administrator.get(ONE, {"key": "mx.fine.test mx2.fine.test"})
    assert [line.now for line in fine.context["chart"].lines] == ["50", "10"]
    assert "None: it gets its mail as fast" in fine.text
    assert administrator.get(ONE, {"key": "mx.fine.test mx2.fine.test", "range": "24h"}).status_code == 200
    for key in ("", "nobody.test", "x" * 400):
        assert administrator.get(ONE, {"key": key}).status_code == 404


def test_how_many_messages_a_connection_may_carry_is_told_and_is_no_trouble(administrator: Client) -> None:
    text = "421 too many messages in this connection"
    said = Report(Key("mx.exim.test"), About.REFUSED, timezone.now(), ReplyClass.MESSAGES, carried=1000, text=text)
    with statements.write_transaction():
        limits.apply([said])
    line = _lines(administrator)["mx.exim.test"]
    assert (line.limits, line.state.words) == ((), "No limit")
    page = administrator.get(ONE, {"key": "mx.exim.test"}).content.decode()
    assert "1,000 messages a connection" in page and "only so many messages over one connection" in page
    assert text in page


@pytest.mark.usefixtures("sites")
def test_pages_say_which_rule_limits_and_a_rule_that_goes_lets_its_mail_go(administrator: Client) -> None:
    actor = Actor.system()
    until = timezone.now() + timedelta(days=2)
    rule = DestinationRule(scope="hosts", name="mx.bad.test", suspended_until=until, suspended_reason="they move")
    destination_rules.save(actor, rule)
    destination_rules.save(actor, DestinationRule(scope="provider", name="Google", rate_per_minute=7, tls="verify"))
    destination_rules.save(actor, DestinationRule(scope="domain", name="also.test", connections=2))
    lines = _lines(administrator)
    assert lines["mx.bad.test"].state.words == "Suspended by hand"
    assert lines["Google"].limits[-1] == "7 messages a minute"
    text = administrator.get(ONE, {"key": "Google"}).content.decode()
    assert "by a rule of mailspool" in text
    assert "Require encryption and a valid certificate" in text
    assert reverse("admin:spool_destinationrule_change", args=[rule.pk + 2]) in text
    assert "the one that the system chooses" in text
    SourceAddress.objects.create(address="203.0.113.7")
    sources_of_ours.forget()
    assert "by sender and weight: 203.0.113.7" in administrator.get(ONE, {"key": "Google"}).content.decode()
    [entry] = _waiting(1, "bad.test", "suspended: an administrator has suspended mail for mx.bad.test: they move")
    Entry.objects.filter(pk=entry.pk).update(due_at=until, next_attempt=until)
    rule.suspended_until = None
    destination_rules.save(actor, rule)
    entry.refresh_from_db()
    assert entry.due_at is not None
    assert entry.due_at <= timezone.now()


@pytest.mark.usefixtures("sites")
def test_a_dry_run_says_what_would_have_been(administrator: Client) -> None:
    Settings.objects.update_or_create(pk=1, defaults={"adapt_pace": False})
    from spool.models.settings import forget

    forget()
    lines = _lines(administrator, show="dry-run")
    assert [(line.name, line.state.words, line.limits) for line in lines.values()] == [
        ("mx.bad.test", "Would be suspended", ()),
        ("Google", "Would be slowed", ("120 messages a minute",)),
    ]
    assert "Would hold" in administrator.get(ONE, {"key": "Google"}).text
    assert "Dry run." in administrator.get(LIST).text


def test_pages_cost_the_same_however_much_waits(
    administrator: Client, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than is counted: of what is limited the rest is counted, too, as far as a bound.
    monkeypatch.setattr(counted, "MOST_ENTRIES", 20)
    domains.remember([(f"d{number}.test", Key(f"mx.d{number % 40}.test")) for number in range(120)], timezone.now())
    entries = take_in(*(a_submission(to=[f"u@d{number}.test"]) for number in range(120)))
    attempt(entries)
    for number in (35, 36):
        _refused(f"mx.d{number}.test", ReplyClass.RATE, REFUSAL)
    cache.clear()
    with django_assert_max_num_queries(26):
        answer = administrator.get(LIST)
    first = {line.name: line for line in answer.context["lines"]}
    assert answer.context["counted"].partial and len(first) == 22
    assert (first["mx.d35.test"].waiting.number, first["mx.d1.test"].waiting.more) == (3, True)
    cache.clear()
    with django_assert_max_num_queries(33):
        administrator.get(ONE, {"key": "mx.d35.test"})


@pytest.mark.usefixtures("sites")
def test_several_are_suspended_from_the_list_and_written_down(administrator: Client) -> None:
    sent = {"key": ["Google", "mx.fine.test mx2.fine.test"], "p-hours": "2", "p-note": "we look into it"}
    asked = administrator.post(reverse("thing_dialog", args=["destination", "destination-suspend"]), sent)
    assert asked.text.count('name="key"') == 2
    done = administrator.post(reverse("thing_act", args=["destination", "destination-suspend"]), sent)
    assert done["HX-Trigger"] == "ms-done" and "Nothing is sent to 2 of 2 destinations for 2 hours" in done.text
    assert {line.state.words for line in _lines(administrator, show="suspended").values()} == {
        "Suspended",
        "Suspended by hand",
    }
    page = administrator.get(ONE, {"key": "Google"})
    assert "Suspended for 2 hours" in page.text and "by admin@localhost" in page.text and "we look into it" in page.text
    # What suits none of them is said.
    refused = administrator.post(
        reverse("thing_dialog", args=["destination", "destination-resume"]), {"key": ["a.test", "b.test"]}
    )
    assert refused.status_code == 200 and "nothing that can be done" in refused.text


@pytest.mark.usefixtures("sites")
@pytest.mark.parametrize("role", [Role.READ_ONLY, Role.HELP_DESK])
def test_who_only_reads_or_helps_looks_and_changes_nothing(client: Client, role: Role) -> None:
    accounts.add_domain("example.org")
    user = User(email="eve@example.org", role=role, domain=accounts.get_domain("example.org"))
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    for answer in (client.get(LIST), client.get(ONE, {"key": "Google"})):
        assert answer.status_code == 200
        assert not re.search(r"data-menu|data-things|thing_dialog|hx-post", answer.text)
    sent = {"key": "Google", "p-rate": "5"}
    before = list(Destination.objects.values_list("site", "rate_by_hand"))
    assert client.post(reverse("thing_act", args=["destination", "destination-slow"]), sent).status_code in (302, 403)
    assert list(Destination.objects.values_list("site", "rate_by_hand")) == before
    assert not AuditEvent.objects.filter(action="destination-slow").exists()


@pytest.mark.usefixtures("sites")
def test_popup_map_search_and_alert_lead_to_the_page(administrator: Client) -> None:
    [entry] = Entry.objects.filter(recipients__domain="bad.test")
    popup = administrator.get(
        reverse("admin:spool_entry_message", args=[entry.file_name]), headers={"HX-Request": "true"}
    )
    place = f'href="{ONE}?key=mx.bad.test"'
    assert place in popup.text
    backlog = administrator.get(reverse("admin:spool_entry_backlog")).text
    assert re.search(rf"{re.escape(place)}[^>]*>bad\.test</a> <span[^>]*>[Ss]uspended", backlog)
    assert re.search("> *[Ss]lowed</span>", backlog)
    assert place in administrator.get("/admin/search/", {"q": "bad.te"}).text
    assert f'href="{ONE}?key=Google"' in administrator.get("/admin/search/", {"q": "goog"}).text
    assert place in administrator.get("/admin/incident/domain/bad.test/").text
    link = urlsplit(RefusedAddress().page("mx.bad.test from 192.0.2.1"))
    assert (link.path, parse_qs(link.query)) == (ONE, {"key": ["mx.bad.test from 192.0.2.1"]})
    assert "Destinations" in unescape(administrator.get("/admin/search/", {"q": "slowed"}).text)


def test_the_page_of_source_addresses_says_how_each_does_at_one_cost(administrator: Client) -> None:
    page = reverse("admin:spool_sourceaddress_changelist")
    now = timezone.now()

    def queries() -> int:
        # What is kept for a second or two is asked each time, however long the last one took.
        for kept in gc.get_objects():
            if isinstance(kept, ShortCache):
                kept.forget()
        with CaptureQueriesContext(connection) as counted_queries:
            administrator.get(page)
        return len(counted_queries)

    SourceAddress.objects.create(address="203.0.113.1", missing_since=now, missing_where="mail1")
    administrator.get(page)
    before = queries()
    for number in range(2, 12):
        SourceAddress.objects.create(address=f"203.0.113.{number}", warm_up_since=now.date())
        until = now + timedelta(hours=2)
        Destination.objects.create(
            site="Google", source=f"203.0.113.{number}", suspended_until=until, since=now, changed=now
        )
    assert queries() == before
    text = administrator.get(page).content.decode()
    assert "Not on mail1" in text
    assert "day 1 of 14: 50 to each" in text
    assert text.count("key=Google+from+203.0.113.") == 10
