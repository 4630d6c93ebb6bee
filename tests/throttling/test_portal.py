"""Throttled users on the user site: administrators of a domain act within it, users see their own."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions as accounts_actions
from accounts.models import MailingList, Role, User
from spool.models import AuditEvent
from tests.throttling.made import ANN, an_event, some_held
from throttling.models import ThrottleEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis", "home")]
BOSS, ROOT, NEWS = "boss@example.org", "root@example.org", "news@example.org"
ELSEWHERE = "eve@example.net"


@pytest.fixture(autouse=True)
def people() -> None:
    for name in ("example.org", "example.net"):
        accounts_actions.add_domain(name)
    for email, role in (
        (ANN, Role.USER),
        (BOSS, Role.DOMAIN_ADMINISTRATOR),
        (ROOT, Role.SYSTEM_ADMINISTRATOR),
        (ELSEWHERE, Role.USER),
        ("boss@example.net", Role.DOMAIN_ADMINISTRATOR),
    ):
        domain = accounts_actions.get_domain(email.rpartition("@")[2])
        user = User(email=email, domain=domain, role=role, messages_per_hour=100)
        user.set_unusable_password()
        user.save()
    accounts_actions.change(accounts_actions.add_list(NEWS, []), recipients_per_hour=50)


def browser(email: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
    return client


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(answer.content.decode()))


def listed(email: str = BOSS) -> str:
    answer = browser(email).get(reverse("portal:throttled"))
    assert answer.status_code == 200
    return text(answer)


def act(verb: str, event: ThrottleEvent, email: str = BOSS, **values: str) -> Any:
    return browser(email).post(reverse("portal:throttled_act", args=[verb, event.pk]), values, follow=True)


def test_an_administrator_sees_the_throttled_of_the_domain_with_use_held_mail_and_end() -> None:
    an_event()
    an_event(NEWS, "list", "recipients", amount=50, used=40)
    an_event("example.org", "domain", "bounces", amount=5, used=7, action="reject")
    an_event(ELSEWHERE)
    some_held()
    shown = listed()
    for part in (
        "Throttled Users",
        ANN,
        "100 of 100",
        NEWS,
        "Mailing list",
        "40 of 50",
        "80 %",
        "The whole domain",
        "7 of 5",
        "Bounces Received",
        "Release now",
        "Raise limit",
        "in 40 min",
        "auth-user=ann%40example.org",
        "status=throttled",
        'value="80"',
    ):
        assert part in shown, part
    assert ELSEWHERE not in shown


def test_what_is_over_stands_below_with_who_released_it() -> None:
    an_event(ended=timezone.now(), ended_by="root@example.org")
    shown = listed()
    assert "Nobody is throttled" in shown
    assert "Released by root@example.org" in shown


def test_held_mail_is_released_and_it_is_written_down_who_did() -> None:
    event, [entry] = an_event(), some_held()
    asked = text(browser(BOSS).get(reverse("portal:throttled_act", args=["release", event.pk])))
    assert "1 held message goes now" in asked
    entry.refresh_from_db()
    assert entry.due_at is not None and entry.due_at > timezone.now(), "asking releases nothing"
    assert "1 message goes now" in text(act("release", event))
    entry.refresh_from_db()
    assert entry.due_at is not None and entry.due_at <= timezone.now()
    event.refresh_from_db()
    assert event.ended_by == BOSS
    assert AuditEvent.objects.filter(actor=BOSS, action="throttle release", on=ANN).exists()


def test_a_limit_is_raised_and_too_little_comes_back_with_the_reason() -> None:
    event = an_event()
    assert "not more than the limit of 100" in text(act("raise", event, limit="50"))
    assert "as a whole number" in text(act("raise", event, limit="many"))
    assert "is now 500 an hour" in text(act("raise", event, limit="500"))
    assert User.objects.get(email=ANN).messages_per_hour == 500
    assert "Messages per hour: 100 → 500" in text(browser(ANN).get(reverse("portal:home")))


def test_nobody_gets_more_than_the_domain_itself_may_have() -> None:
    accounts_actions.change(accounts_actions.get_domain("example.org"), messages_per_hour=1000, recipients_per_hour=60)
    answer = text(act("raise", an_event(), limit="1001"))
    assert "example.org itself may have 1,000 at most (messages per hour)" in answer
    assert "itself may have 60 at most" in text(
        act("raise", an_event(NEWS, "list", "recipients", amount=50), limit="70")
    )
    assert "is now 60 an hour" in text(act("raise", ThrottleEvent.objects.get(name=NEWS), limit="60"))
    assert MailingList.objects.get().recipients_per_hour == 60
    form = reverse("portal:edit_users", args=[User.objects.get(email=ANN).pk])
    assert "example.org itself may have 1,000 at most (messages per hour)" in text(
        browser(BOSS).post(form, {"email": ANN, "messages_per_hour": 2000})
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("example.org", "domain"), (ELSEWHERE, "user"), (ROOT, "user")],
    ids=["the domain itself", "another domain's", "a system administrator"],
)
@pytest.mark.parametrize("verb", ["release", "raise"])
def test_what_is_not_theirs_is_not_there(verb: str, name: str, kind: str) -> None:
    event = an_event(name, kind)
    assert act(verb, event, limit="1000").status_code == 404
    assert browser(BOSS).get(reverse("portal:throttled_act", args=[verb, event.pk])).status_code == 404
    event.refresh_from_db()
    assert event.ended is None


def test_users_get_to_none_of_it_but_see_their_own() -> None:
    event = an_event()
    some_held()
    ann = browser(ANN)
    assert ann.get(reverse("portal:throttled")).status_code == 403
    assert act("release", event, ANN).status_code == 403
    assert act("raise", event, ANN, limit="1000").status_code == 403
    event.refresh_from_db()
    assert event.ended is None
    shown = text(ann.get(reverse("portal:home")))
    for part in ("You are over a limit", "100 of 100", "1 message waits.</a>", "There is room again", "in 40 min"):
        assert part in shown, part
    assert "You are over a limit" not in text(browser(ELSEWHERE).get(reverse("portal:home")))


def test_an_action_that_there_is_not_is_not_found() -> None:
    assert act("disable", an_event()).status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_page(django_assert_max_num_queries: Any) -> None:
    for number in range(60):
        an_event(f"u{number}@example.org")
    client = browser(BOSS)
    # What is kept for a while is read once.
    client.get(reverse("portal:home"))
    with django_assert_max_num_queries(16):
        assert client.get(reverse("portal:throttled")).status_code == 200
