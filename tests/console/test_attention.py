"""What needs attention is on every page of the console, with what is done about it, and who has said what to it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Domain, User
from base.audit.models import AuditEvent
from base.short_cache import ShortCache
from mailspool.attention import items
from spool.models import AlertEvent, AlertRule, TrafficState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
NAME = "dmitri@example.org"


def an_alert(kind: str = "flood-user", key: str = NAME, value: float = 5169, **more: Any) -> AlertEvent:
    rule, _ = AlertRule.objects.get_or_create(name=kind, defaults={"kind": kind, "threshold": 300, "minutes": 5})
    values = {"rule": rule, "rule_name": rule.name, "kind": kind, "threshold": 300, "began": timezone.now()}
    event = AlertEvent.objects.create(key=key, value=value, highest=value, **(values | more))
    items.look_again()
    return event


def strip_of(page: str) -> str:
    found = re.search(r'<section[^>]*id="attention".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def words(part: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", part)).strip()


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/spool/entry/",
        "/admin/accounts/user/",
        "/admin/accounts/domain/add/",
        "/admin/spool/alertevent/",
        "/admin/throttling/guardevent/",
    ],
)
def test_every_page_says_what_goes_on_with_its_count_in_sidebar_and_title(administrator: Client, path: str) -> None:
    page = administrator.get(path).content.decode()
    assert "Needs attention" not in words(strip_of(page))
    assert re.search(r'id="attention-count" hidden', page)
    event = an_alert()
    page = administrator.get(path).content.decode()
    strip = strip_of(page)
    assert f"{NAME} handed in 5,169 messages within 5 minutes" in words(strip)
    assert f'href="/admin/attention/{event.pk}/contain/">Contain account</a>' in strip
    assert re.search(r'id="attention-count"><span aria-hidden="true">1<', page)
    assert re.search(r"<title>\s*\(1\)", page)


def test_what_is_over_a_test_or_muted_is_not_shown_and_what_is_acknowledged_is_not_counted(
    administrator: Client,
) -> None:
    now = timezone.now()
    an_alert(key="over@example.org", ended=now)
    an_alert(key="test@example.org", is_test=True)
    an_alert(key="muted@example.org", muted_until=now + timedelta(hours=1))
    an_alert(key="loud@example.org", muted_until=now - timedelta(hours=1))
    an_alert(key="known@example.org", acknowledged=now, acknowledged_by="root@example.org")
    page = administrator.get("/admin/").content.decode()
    shown = words(strip_of(page))
    assert re.findall(r"(\w+)@example.org handed in", shown) == ["loud", "known"]
    assert "acknowledged by root@example.org" in shown
    assert re.search(r"<title>\s*\(1\)", page)


def test_who_floods_comes_first_and_what_is_beyond_two_is_behind_a_click(administrator: Client) -> None:
    for number in range(3):
        an_alert(kind="destination", key=f"d{number}.test", value=80)
    an_alert(began=timezone.now() - timedelta(hours=1))
    strip = strip_of(administrator.get("/admin/").content.decode())
    in_sight, behind = strip.split("<summary>2 more</summary>")
    assert in_sight.index(NAME) < in_sight.index("d2.test")
    assert "d1.test" in behind and "d0.test" in behind
    assert "/admin/spool/entry/?domain=d0.test" in behind


def test_what_a_stranger_wrote_is_text(administrator: Client) -> None:
    event = an_alert(kind="flood-sender", key="\"><script>alert(1)</script>'@far.test")
    for path in ("/admin/", f"/admin/attention/{event.pk}/", "/admin/attention/"):
        page = administrator.get(path).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_a_page_asks_two_questions_for_it_and_the_next_one_none(
    administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is.
    monkeypatch.setattr(items, "_kept", ShortCache(600.0, items._read))
    for number in range(5):
        an_alert(key=f"u{number}@example.org")
    administrator.get("/admin/attention/")
    with CaptureQueriesContext(connection) as kept:
        administrator.get("/admin/attention/")
    items.look_again()
    with CaptureQueriesContext(connection) as anew:
        administrator.get("/admin/attention/")
    # Others may be asked anew besides, on a slow machine.
    about_it = [
        [query for query in queries if re.search("alertevent|trafficstate", query["sql"])] for queries in (kept, anew)
    ]
    assert [len(queries) for queries in about_it] == [0, 2]


def test_a_strip_that_the_page_has_seen_is_not_sent_again(administrator: Client) -> None:
    event = an_alert()
    first = administrator.get("/admin/attention/").content.decode()
    seen = re.search(r"seen=(\w+)", first)
    assert seen is not None
    assert administrator.get("/admin/attention/", {"seen": seen[1]}).status_code == 204
    event.value = 9000
    event.save()
    items.look_again()
    assert "9,000" in administrator.get("/admin/attention/", {"seen": seen[1]}).content.decode()


def test_an_alert_is_acknowledged_and_muted_from_the_strip(administrator: Client) -> None:
    event = an_alert()
    htmx = {"HX-Request": "true"}
    answer = administrator.post(f"/admin/attention/{event.pk}/acknowledge/", headers=htmx).content.decode()
    assert "acknowledged by admin@" in words(answer) and 'data-count="0"' in answer
    answer = administrator.post(f"/admin/attention/{event.pk}/mute/", {"minutes": "480"}, headers=htmx).content.decode()
    assert "Needs attention" not in words(answer)
    event.refresh_from_db()
    assert event.muted_until is not None
    assert event.muted_until - timezone.now() == pytest.approx(timedelta(hours=8), abs=timedelta(minutes=1))
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == [
        "acknowledge alert",
        "mute alert",
    ]
    assert administrator.post(f"/admin/attention/{event.pk}/mute/", {"minutes": "7"}).status_code == 400
    answer = administrator.post(f"/admin/attention/{event.pk}/mute/", {"minutes": "0"})
    assert answer["Location"] == f"/admin/attention/{event.pk}/"
    event.refresh_from_db()
    assert event.muted_until is None


def test_the_page_of_an_alert_says_what_was_measured_and_has_the_actions(administrator: Client) -> None:
    event = an_alert(kind="flood-ip", key="192.0.2.66")
    page = administrator.get(f"/admin/attention/{event.pk}/").content.decode()
    assert "192.0.2.66 handed in 5,169 messages within 5 minutes" in page
    assert "5,169 messages (threshold 300)" in words(page)
    menu = re.search(r'hx-get="(/admin/overview/[^"]+)"', page)
    assert menu is not None
    offered = words(administrator.get(menu[1]).content.decode())
    assert "Blacklist IP" in offered and "Delete Messages" in offered
    disk = an_alert(kind="disk", key="host home", value=97)
    page = administrator.get(f"/admin/attention/{disk.pk}/").content.decode()
    assert "97 % of the disk of host home is used" in page and "Empty the trash" in page


def test_contain_leads_to_the_account_or_where_there_is_none_to_the_alert(administrator: Client) -> None:
    event = an_alert()
    path = f"/admin/attention/{event.pk}/contain/"
    assert administrator.get(path)["Location"] == f"/admin/attention/{event.pk}/"
    user = User(email=NAME, domain=Domain.objects.create(name="example.org"))
    user.set_unusable_password()
    user.save()
    assert administrator.get(path)["Location"] == f"/admin/accounts/user/{user.pk}/contain/"


def test_a_dead_scheduler_is_said_though_it_is_who_finds_alerts(administrator: Client) -> None:
    TrafficState.objects.create(since=timezone.now(), rolled=timezone.now() - timedelta(minutes=5))
    items.look_again()
    assert "The scheduler is not running" in words(strip_of(administrator.get("/admin/spool/entry/").content.decode()))


@pytest.mark.parametrize("path", ["/admin/", "/admin/attention/", "/admin/spool/entry/", "/me/"])
def test_a_part_of_a_page_without_a_session_is_refused_and_a_page_leads_to_the_login(client: Client, path: str) -> None:
    assert client.get(path, headers={"HX-Request": "true"}).status_code == 401
    assert client.get(path).status_code == 302


def test_a_page_can_ask_who_is_signed_in(administrator: Client) -> None:
    assert Client().get("/session/").json() == {"user": ""}
    answer = administrator.get("/session/")
    assert answer.json().keys() == {"user", "name", "token"}
    assert "no-store" in answer["Cache-Control"]
    page = administrator.get("/admin/").content.decode()
    assert f'data-user="{answer.json()["user"]}"' in page


def test_one_flood_that_many_rules_notice_is_one_line_and_the_largest_comes_first(administrator: Client) -> None:
    an_alert(kind="guard", key="quiet@example.org", value=1, threshold=1)
    an_alert(kind="flood-sender", key=NAME, value=5169, threshold=500)
    an_alert(value=5169)
    an_alert(kind="flood-sender", key="small@example.org", value=600, threshold=500)
    strip = strip_of(administrator.get("/admin/").content.decode())
    shown = words(strip)
    assert shown.count(f"{NAME} handed in") == 1
    assert "1 more alert" in shown
    assert shown.index(NAME) < shown.index("small@example.org") < shown.index("quiet@example.org")
    lead = items.current().items[0]
    assert lead.pk is not None and lead.fix is not None and lead.fix[0] == "Contain account"
    administrator.post(f"/admin/attention/{lead.pk}/acknowledge/", {"also": lead.also})
    assert AlertEvent.objects.filter(key=NAME, acknowledged=None).count() == 0
    assert AlertEvent.objects.filter(acknowledged=None).count() == 2
