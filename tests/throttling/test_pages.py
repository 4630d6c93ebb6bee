"""Throttled Users, Throttled Domains and the history, as a browser asks for them."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions as accounts_actions
from accounts.models import Metric, Role, Status, User
from spool.models import Entry
from tests.console.conftest import administrator
from tests.throttling.made import ANN, an_event, some_held
from throttling.models import ThrottleEvent, ThrottleSettings

__all__ = ["administrator"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis", "home")]
PREFIX = "admin:throttling_throttleevent_"


@pytest.fixture
def ann() -> User:
    accounts_actions.add_domain("example.org", messages_per_hour=1000)
    user = User(email=ANN, domain=accounts_actions.get_domain("example.org"), messages_per_hour=100)
    user.set_unusable_password()
    user.save()
    return user


def page(client: Client, name: str, **query: str) -> str:
    answer = client.get(reverse(f"{PREFIX}{name}"), query)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def act(client: Client, verb: str, event: ThrottleEvent, **values: str) -> Any:
    return client.post(reverse(f"{PREFIX}act", args=[verb, event.pk]), values)


def test_throttled_users_shows_every_column_and_where_the_messages_are(administrator: Client, ann: User) -> None:
    an_event()
    an_event("news@example.org", "list", "recipients", used=90)
    an_event("192.0.2.7", "ip", "bandwidth", amount=10 * 1024 * 1024, used=5 * 1024 * 1024, action="reject")
    an_event("example.org", "domain")
    some_held(2)
    text = page(administrator, "users")
    for part in (
        "User",
        "Domain",
        "Reason",
        "Action",
        "Usage",
        "Held",
        "Date",
        "Ends",
        ANN,
        "Mailing list",
        "news@example.org",
        "Client IP",
        "192.0.2.7",
        "Messages Out",
        "Recipients Out",
        "Bandwidth Out",
        "Delay",
        "Reject",
        "100 of 100",
        "90 of 100",
        "5 MB of 10 MB",
        "50 %",
        "Release now",
        "Raise limit",
        "Disable User",
        "See messages",
        f"auth-user={ANN.replace('@', '%40')}&status=throttled",
        'value="90"',
    ):
        assert part in text, part
    assert 'Throttled Users <span class="ms-count" title="3">3</span>' in text
    assert 'Throttled Domains <span class="ms-count" title="1">1</span>' in text


def test_throttled_domains_shows_domains_alone(administrator: Client, ann: User) -> None:
    an_event()
    an_event("example.org", "domain", "bounces", amount=5, used=7, action="reject")
    text = page(administrator, "domains")
    for part in ("Domain", "Bounces Received", "7 of 5", "140 %", "Reject", "Release now"):
        assert part in text, part
    assert ANN not in text
    assert "Disable User" not in text


@pytest.mark.parametrize(("name", "words"), [("users", "Nobody is throttled"), ("domains", "No domain is throttled")])
def test_an_empty_page_says_what_would_appear_and_how_to_set_a_limit(
    administrator: Client, name: str, words: str
) -> None:
    text = page(administrator, name)
    assert words in text
    assert "manage.py throttle set" in text


def test_a_refresh_brings_the_table_and_the_counts(administrator: Client) -> None:
    an_event()
    answer = administrator.get(reverse(f"{PREFIX}users"), headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert "<html" not in text
    assert 'hx-swap-oob="true"' in text
    assert ANN in text


def test_the_number_of_queries_does_not_grow_with_the_page(
    administrator: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        an_event(f"u{number}@example.org")
    # What processes keep for a moment is read by the first.
    page(administrator, "users")
    with django_assert_max_num_queries(20):
        page(administrator, "users")


def test_pages_follow_one_another(administrator: Client) -> None:
    for number in range(60):
        an_event(f"u{number:02}@example.org")
    first = page(administrator, "users")
    assert first.count('class="mt-row"') == 50
    assert "u09@example.org" not in first
    last = ThrottleEvent.objects.get(name="u10@example.org").pk
    assert f"after={last}" in first
    assert page(administrator, "users", after=str(last)).count('class="mt-row"') == 10


def test_released_messages_are_due_and_the_event_is_history(administrator: Client, ann: User) -> None:
    event = an_event()
    entries = some_held(2)
    asked = administrator.get(reverse(f"{PREFIX}act", args=["release", event.pk])).content.decode()
    assert "2 held messages go now" in asked
    answer = act(administrator, "release", event)
    assert answer.headers["HX-Trigger"] == "ms-done"
    assert "2 messages go now" in answer.content.decode()
    for entry in Entry.objects.filter(pk__in=[entry.pk for entry in entries]):
        assert entry.due_at is not None
        assert entry.due_at <= timezone.now()
    assert "Released by admin@localhost" in page(administrator, "changelist")
    assert "Nobody is throttled" in page(administrator, "users")


def test_a_limit_is_raised_in_its_own_unit(administrator: Client, ann: User) -> None:
    accounts_actions.change(ann, bandwidth_mb_per_hour=10)
    event = an_event(metric=Metric.BANDWIDTH, amount=10 * 1024 * 1024, used=10 * 1024 * 1024)
    assert "now 25 MB an hour" in act(administrator, "raise", event, limit="25").content.decode()
    ann.refresh_from_db()
    assert ann.bandwidth_mb_per_hour == 25


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("", "as a whole number"),
        ("x", "as a whole number"),
        ("5", "not more than the limit of 100"),
        ("99999999", "less than or equal to 10000000"),
    ],
)
def test_a_limit_that_can_not_be_comes_back_with_the_reason(
    administrator: Client, ann: User, limit: str, words: str
) -> None:
    answer = unescape(act(administrator, "raise", an_event(), limit=limit).content.decode())
    assert words in answer
    ann.refresh_from_db()
    assert ann.messages_per_hour == 100


def test_a_user_is_disabled_but_receives(administrator: Client, ann: User) -> None:
    assert "no login, no mail out; mail still arrives" in act(administrator, "disable", an_event()).content.decode()
    ann.refresh_from_db()
    assert ann.status == Status.RECEIVING


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
def test_only_system_administrators_come_in(client: Client, ann: User, role: Role) -> None:
    ann.role = role
    ann.save()
    client.force_login(ann)
    event = an_event()
    for name in ("users", "domains", "changelist"):
        assert client.get(reverse(f"{PREFIX}{name}")).status_code == 302
    assert act(client, "release", event).status_code == 302
    event.refresh_from_db()
    assert event.ended is None


def test_what_a_name_has_is_shown_as_text(administrator: Client) -> None:
    an_event("<script>alert(1)</script>", "ip")
    answer = administrator.get(reverse(f"{PREFIX}users"))
    assert b"<script>alert(1)" not in answer.content


def test_the_settings_are_saved(administrator: Client) -> None:
    url = reverse("admin:throttling_throttlesettings_change", args=[ThrottleSettings.load().pk])
    assert administrator.get(url).status_code == 200
    values = {
        "ip_messages_per_hour": 500,
        "ip_bandwidth_mb_per_hour": 0,
        "ip_recipients_per_hour": 0,
        "ip_action": "reject",
        "notify_users": "on",
    }
    assert administrator.post(url, values).status_code == 302
    row = ThrottleSettings.load()
    assert (row.ip_messages_per_hour, row.notify_users, row.notify_administrators) == (500, True, False)
