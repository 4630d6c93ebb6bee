"""What earlier versions wrote down of accounts, and of lists and messages, is found in the one audit."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from accounts import actions, history
from accounts.models import AccountEvent, User
from base.audit.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)
of_accounts = import_module("accounts.migrations.0004_history_into_audit")
of_spool = import_module("spool.migrations.0019_audit_subjects")
NOW = timezone.now()


def wrote(on: str, action: str, outcome: str, *, minutes: int, **fields: object) -> None:
    """As the version before did: a row here, and one there."""
    of_one = {"at": NOW - timedelta(minutes=minutes), "actor": "root@example.org", "source": "page", "action": action}
    AccountEvent.objects.create(on=on, outcome=outcome, **of_one, **fields)
    AuditEvent.objects.create(on=on, said=outcome, matched=1, done=1, **of_one)


@pytest.fixture
def ann(redis: object, home: object) -> User:
    actions.add_domain("example.org")
    user = User(email="ann@example.org", domain=actions.get_domain("example.org"))
    user.set_unusable_password()
    user.save()
    AuditEvent.objects.all().delete()
    return user


def test_each_row_finds_its_like_or_is_copied_and_again_changes_nothing(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_accounts, "WINDOW", 2)
    wrote(ann.email, "status", "Status: Enabled → Disabled", minutes=9, user=ann)
    wrote("gone@example.org", "remove user", "Removed", minutes=8)
    wrote("example.org", "change domain", "Description: empty → Ours", minutes=7)
    wrote("users", "propagate defaults", "mailbox (MB) 9: 2 changed", minutes=6)
    for email, user in ((ann.email, ann), ("bob@example.org", None)):
        AccountEvent.objects.create(
            at=NOW - timedelta(minutes=6, seconds=1),
            actor="root@example.org",
            source="page",
            action="propagate defaults",
            on=email,
            user=user,
            outcome="Mailbox (MB): 0 → 9",
        )
    # What was done after the row was written down is in the history alone.
    wrote(ann.email, "contain", "Shut", minutes=1, user=ann)
    AccountEvent.objects.filter(action="contain").update(outcome="Shut. 2 connections ended.")

    for _ in range(2):
        of_accounts.copy(apps, None)

    assert [(event.action, event.outcome, event.is_part) for event in history.of_user(ann)] == [
        ("contain", "Shut. 2 connections ended.", False),
        ("propagate defaults", "Mailbox (MB): 0 → 9", True),
        ("status", "Status: Enabled → Disabled", False),
    ]
    others = AuditEvent.objects.filter(row_id=None).order_by("at").values_list("kind", "key", "is_part")
    assert list(others) == [
        ("user", "gone@example.org", False),
        ("domain", "example.org", False),
        ("user", "bob@example.org", True),
        ("", "users", False),
    ]
    assert AuditEvent.objects.count() == 7 and AccountEvent.objects.count() == 7


def test_older_actions_on_one_thing_are_its_history(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_spool, "WINDOW", 2)
    name = "01abcdefghjkmnpqrstvwxyz00.eml"
    for action, on in (
        ("delete", name),
        ("delete", f"{name}, b.eml"),
        ("delete", f"{name} and 3 more"),
        ("delete", "messages from ann@example.org"),
        ("blacklist", "192.0.2.0/24"),
        ("blacklist", "192.0.2.1, 192.0.2.2"),
        ("login-block", "ann@example.org from 192.0.2.9"),
        ("settings", "Settings"),
    ):
        AuditEvent.objects.create(at=NOW, actor="root@example.org", action=action, on=on)

    for _ in range(2):
        of_spool.name(apps, None)

    assert list(AuditEvent.objects.exclude(key="").order_by("id").values_list("kind", "key")) == [
        ("message", name),
        ("blacklist entry", "192.0.2.0/24"),
        ("login block", "ann@example.org from 192.0.2.9"),
    ]
