"""Who changed a limit by the hour, what it was and what it is: written down from each page, command and propagation."""

from __future__ import annotations

from typing import Any

import pytest
from django.forms.models import model_to_dict
from django.test import Client
from django.urls import reverse

from accounts import actions, changes, history, propagation
from accounts.actor import Actor
from accounts.models import (
    Domain,
    DomainDefaults,
    DomainUserDefaults,
    MailingList,
    Role,
    User,
    UserDefaults,
)
from spool.models import AuditEvent
from tests.support.commands import Manage, manage_with
from tests.support.forms import UNLIMITED

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis")]
ANN, CHIEF, ROOT, NEWS = "ann@example.org", "chief@example.org", "root@example.org", "news@example.org"
LIMITED = {**UNLIMITED, "messages_per_hour": 500, "messages_action": "reject"}
SAID = "Messages per hour: 0 → 500; beyond them: Delay → Reject it"


def a_user(email: str, **fields: Any) -> User:
    user = User(email=email, domain=actions.get_domain("example.org"), **fields)
    user.set_unusable_password()
    user.save()
    return user


@pytest.fixture(autouse=True)
def people() -> None:
    actions.add_domain("example.org")
    a_user(ANN)
    a_user(CHIEF, role=Role.DOMAIN_ADMINISTRATOR)
    a_user(ROOT, role=Role.SYSTEM_ADMINISTRATOR)
    actions.add_list(NEWS, [])


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "accounts")


def browser(email: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
    return client


def written(on: str) -> list[tuple[str, str]]:
    """(who, what) in the audit."""
    events = AuditEvent.objects.filter(on=on, is_part=False).exclude(source="system").order_by("id")
    return [(event.actor, event.outcome) for event in events]


def in_history_of(email: str) -> list[str]:
    events = history.of_user(User.objects.get(email=email)).exclude(source="system").order_by("id")
    return [event.outcome for event in events]


def saved(client: Client, row: changes.Row, **fields: object) -> None:
    """Post the row's page of the console as it is, but for `fields`."""
    kept = {name: value for name, value in model_to_dict(row).items() if value is not None}
    prefixes = {"domain": ["user_defaults"], "mailinglist": ["members"]}.get(str(row._meta.model_name), [])
    totals = {f"{prefix}-{name}_FORMS": 0 for prefix in prefixes for name in ("TOTAL", "INITIAL")}
    extra = {"new_password": "", "new_members": ""}
    for name in ("groups", "user_permissions", "last_login", "password"):
        kept.pop(name, None)
    url = reverse(f"admin:accounts_{row._meta.model_name}_change", args=[row.pk])
    answer = client.post(url, {**kept, **extra, **totals, **fields})
    assert answer.status_code == 302, answer.content.decode()[:5000]


@pytest.mark.parametrize(
    "row",
    [lambda: User.objects.get(email=ANN), Domain.objects.get, MailingList.objects.get],
    ids=["user", "domain", "list"],
)
def test_a_page_of_the_console_writes_down_who_changed_a_limit_from_what_to_what(row: Any) -> None:
    saved(browser(ROOT), row(), **{name: LIMITED[name] for name in ("messages_per_hour", "messages_action")})
    assert written(str(row())) == [(ROOT, SAID)]


def test_what_was_not_changed_is_not_written_down() -> None:
    saved(browser(ROOT), Domain.objects.get())
    assert written("example.org") == []


def test_a_domain_administrators_pages_do_too() -> None:
    chief, ann, news = browser(CHIEF), User.objects.get(email=ANN), MailingList.objects.get()
    answer = chief.post(
        reverse("portal:edit_users", args=[ann.pk]),
        {
            "email": ANN,
            "name": "",
            "new_password": "",
            "role": "user",
            "status": "enabled",
            "forward_to": "",
            "forward_keeps_copy": "on",
            "mailbox_mb": 0,
            "max_message_kb": 0,
            "max_recipients": 0,
            **LIMITED,
        },
    )
    assert answer.status_code == 302
    answer = chief.post(
        reverse("portal:edit_lists", args=[news.pk]),
        {
            "address": NEWS,
            "posting": "anyone",
            "rewrite_from": "dmarc",
            "unsubscribe": "owner",
            "enabled": "on",
            **LIMITED,
        },
    )
    assert answer.status_code == 302
    assert written(ANN) == [(CHIEF, SAID)]
    assert (CHIEF, SAID) in written(NEWS)
    assert in_history_of(ANN) == [SAID]
    news.refresh_from_db()
    assert (news.messages_per_hour, news.messages_action) == (500, "reject")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kind", "name"), [("user", ANN), ("domain", "example.org"), ("list", NEWS)])
def test_the_command_does_too(manage: Manage, kind: str, name: str) -> None:
    done = manage("account", kind, "set", name, "--messages-per-hour", "500", "--messages-action", "reject")
    assert done.status == 0, done.err
    [(who, said)] = written(name)
    assert said == SAID
    assert who.endswith("(shell)")


@pytest.mark.django_db(transaction=True)
def test_propagating_writes_each_ones_own_before_into_its_history_and_one_line_into_the_audit(manage: Manage) -> None:
    actions.change(User.objects.get(email=ANN), messages_per_hour=70)
    actions.change_defaults(UserDefaults.load(), messages_per_hour=500)
    done = manage("account", "user", "defaults", "propagate", "--field", "messages_per_hour", "--all", "--yes")
    assert done.status == 0, done.err
    assert in_history_of(ANN) == ["Messages per hour: 70 → 500"]
    assert in_history_of(CHIEF) == ["Messages per hour: 0 → 500"]
    [(who, said)] = written("users")
    assert who.endswith("(shell)")
    assert said == "messages per hour 500: 3 changed"
    assert manage("account", "user", "defaults", "propagate", "--field", "messages_per_hour", "--all", "--yes").status
    assert len(in_history_of(ANN)) == 1, "who has it already has nothing to write down"


def test_the_consoles_pages_of_defaults_write_down_what_was_changed() -> None:
    saved(browser(ROOT), UserDefaults.load(), **LIMITED)
    saved(browser(ROOT), DomainDefaults.load(), bounces_per_hour=20)
    assert written("User defaults") == [(ROOT, SAID)]
    assert written("Domain defaults") == [(ROOT, "Bounces received per hour: 0 → 20")]


def test_what_a_domain_gives_new_users_is_written_down_wherever_it_is_changed() -> None:
    actions.change_defaults(UserDefaults.load(), messages_per_hour=100)
    inline = {f"user_defaults-0-{name}": value for name, value in model_to_dict(UserDefaults.load()).items()}
    inline |= {"user_defaults-TOTAL_FORMS": 1, "user_defaults-INITIAL_FORMS": 0}
    inline["user_defaults-0-messages_per_hour"] = 70
    here = Domain.objects.get()
    saved(browser(ROOT), here, **{**inline, "user_defaults-0-id": "", "user_defaults-0-domain": here.pk})
    form = {**model_to_dict(DomainUserDefaults.objects.get(), exclude=["id", "domain"]), "messages_per_hour": 500}
    assert browser(CHIEF).post(reverse("portal:defaults"), {**form, "do": "save"}).status_code == 302
    removed = {**inline, "user_defaults-INITIAL_FORMS": 1, "user_defaults-0-DELETE": "on"}
    ours = DomainUserDefaults.objects.get()
    removed |= {"user_defaults-0-id": ours.pk, "user_defaults-0-domain": ours.domain_id}
    saved(browser(ROOT), Domain.objects.get(), **removed)
    assert written("example.org") == [
        (ROOT, "Messages per hour: 100 → 70"),
        (CHIEF, "Messages per hour: 70 → 500"),
        (ROOT, "Messages per hour: 500 → 100"),
    ]
    assert not DomainUserDefaults.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kind", "name"), [("user", "User defaults"), ("domain", "Domain defaults")])
def test_the_command_for_defaults_does_too(manage: Manage, kind: str, name: str) -> None:
    done = manage("account", kind, "defaults", "set", "--messages-per-hour", "500", "--messages-action", "reject")
    assert done.status == 0, done.err
    [(who, said)] = written(name)
    assert said == SAID
    assert who.endswith("(shell)")


def test_a_domain_administrator_who_propagates_is_named() -> None:
    defaults = DomainUserDefaults.of(Domain.objects.get())
    actions.change_defaults(defaults, messages_per_hour=500)
    answer = browser(CHIEF).post(reverse("portal:defaults"), {"do": "propagate", "field": "messages_per_hour"})
    assert answer.status_code == 302
    event = history.of_user(User.objects.get(email=ANN)).get()
    assert (event.actor, event.action, event.outcome) == (CHIEF, "propagate defaults", "Messages per hour: 0 → 500")


def test_propagating_to_many_takes_a_number_of_queries_that_does_not_grow(django_assert_max_num_queries: Any) -> None:
    domain = Domain.objects.get()
    User.objects.bulk_create(User(email=f"u{n}@example.org", domain=domain, password="!") for n in range(500))
    actions.change_defaults(UserDefaults.load(), messages_per_hour=500)
    with django_assert_max_num_queries(16):
        actor = Actor.at_the_shell()
        assert propagation.propagate(actor, UserDefaults.load(), ["messages_per_hour"], User.objects.all()) == 503
    assert AuditEvent.objects.filter(source="shell").count() == 504


def test_everything_about_a_user_that_can_change_finds_room_in_one_line() -> None:
    user = User.objects.get(email=ANN)
    before = changes.stored(user)
    for field in UNLIMITED:
        setattr(user, field, "reject" if field.endswith("action") else 100_000_000)
    assert len(changes.describe(before, user)) < 400
