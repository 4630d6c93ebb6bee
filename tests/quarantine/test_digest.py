"""The daily digest, and the links in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from django.core import signing
from django.test import Client
from django.utils import timezone

from accounts.models import Domain, Role, User
from accounts.models import Status as UserStatus
from base.one_row import OneRow
from quarantine import digest
from quarantine.actions import release
from quarantine.models import AntispamSettings, DigestFor, Item, ItemKind
from spool.files.store import path_of
from spool.models import AuditEvent, Entry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def people() -> tuple[User, User]:
    """(a domain's administrator, a user of it)."""
    domain = Domain.objects.create(name="example.org")
    made = []
    for email, role in (("boss@example.org", Role.DOMAIN_ADMINISTRATOR), ("ann@example.org", Role.USER)):
        user = User(email=email, domain=domain, role=role)
        user.set_unusable_password()
        user.save()
        made.append(user)
    return made[0], made[1]


def on(for_whom: DigestFor, **values: object) -> None:
    row = AntispamSettings.load()
    row.digest, row.console_url = for_whom, "https://mail.example.org/"
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()
    OneRow.forget()


def sent() -> list[EmailMessage]:
    """The digests in the spool."""
    entries = Entry.objects.filter(subject__startswith="Quarantined:").order_by("id")
    return [message_from_bytes(path_of(e.subspool, e.file_name).read_bytes(), policy=policy.default) for e in entries]  # type: ignore[misc]


def links(message: EmailMessage) -> list[str]:
    body = message.get_body(("plain",))
    assert body is not None
    return re.findall(r"https://mail\.example\.org(\S+)", body.get_content())


def test_nobody_is_told_unless_that_is_set(people: tuple[User, User], quarantined: Callable[..., Item]) -> None:
    quarantined()
    assert digest.send_due(NOON) == 0 and sent() == []


def test_administrators_get_links_once_a_day_for_what_is_new(
    people: tuple[User, User], quarantined: Callable[..., Item]
) -> None:
    on(DigestFor.ADMINISTRATORS)
    quarantined(sender="ann@example.org", subject="Cheap watches")
    quarantined(sender="eve@elsewhere.example", to="x@elsewhere.example", subject="Not ours")
    assert digest.send_due(NOON.replace(hour=6)) == 0
    assert digest.send_due(NOON) == 1
    [message] = sent()
    assert message["To"] == "boss@example.org" and message["Auto-Submitted"] == "auto-generated"
    body = message.get_body(("plain",))
    assert body is not None and "Cheap watches" in body.get_content() and "Not ours" not in body.get_content()
    assert len(links(message)) == 1
    assert digest.send_due(NOON + timedelta(hours=3)) == 0
    assert digest.send_due(NOON + timedelta(days=1)) == 0, "there is nothing new"
    quarantined(sender="ann@example.org", subject="More")
    assert digest.send_due(NOON + timedelta(days=2)) == 1
    assert sent()[1]["Subject"] == "Quarantined: 1 message"


def test_users_are_told_of_their_own_mail_without_a_link(
    people: tuple[User, User], quarantined: Callable[..., Item]
) -> None:
    on(DigestFor.BOTH)
    quarantined(sender="ann@example.org")
    quarantined(ItemKind.VIRUS, "Win.Test (clamd)", sender="eve@elsewhere.example", to="ann@example.org")
    assert digest.send_due(NOON) == 2
    by_person = {message["To"]: message for message in sent()}
    assert by_person["ann@example.org"]["Subject"] == "Quarantined: 2 messages"
    assert links(by_person["ann@example.org"]) == []
    # Nor does anybody get one for a virus.
    assert len(links(by_person["boss@example.org"])) == 1


def test_a_digest_that_can_not_be_made_keeps_nobody_else_from_theirs(
    people: tuple[User, User], quarantined: Callable[..., Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = digest._message

    def fragile(user: User, *arguments: Any) -> bytes:
        if user.email == "boss@example.org":
            raise LookupError("unknown encoding")
        return made(user, *arguments)

    monkeypatch.setattr(digest, "_message", fragile)
    on(DigestFor.BOTH)
    quarantined(sender="ann@example.org")
    assert digest.send_due(NOON) == 1
    assert [message["To"] for message in sent()] == ["ann@example.org"]
    assert digest.send_due(NOON + timedelta(minutes=1)) == 0, "it had its turn today"


def test_nobody_learns_from_a_digest_who_else_got_a_message(
    people: tuple[User, User], quarantined: Callable[..., Item]
) -> None:
    on(DigestFor.BOTH)
    blind = ["ann@example.org", "cy@example.org", "rival@elsewhere.example"]
    quarantined(sender="eve@elsewhere.example", to=blind, subject="From outside")
    quarantined(sender="ann@example.org", to=["x@elsewhere.example", "y@elsewhere.example"], subject="My own")
    assert digest.send_due(NOON) == 2
    texts = {message["To"]: [part.get_content() for part in message.iter_parts()] for message in sent()}  # type: ignore[attr-defined]
    for text in texts["ann@example.org"]:
        assert "to ann@example.org" in text and "to x@elsewhere.example, y@elsewhere.example" in text
        assert "cy@example.org" not in text and "rival" not in text
    for text in texts["boss@example.org"]:
        assert "to ann@example.org, cy@example.org" in text and "rival" not in text


def test_what_a_sender_wrote_can_not_become_markup(people: tuple[User, User], quarantined: Callable[..., Item]) -> None:
    on(DigestFor.ADMINISTRATORS)
    quarantined(sender="ann@example.org", subject="<script>alert(1)</script>")
    digest.send_due(NOON)
    html = sent()[0].get_body(("html",))
    assert html is not None and "<script>" not in html.get_content()


def test_a_link_asks_first_resends_once_and_is_written_down(
    people: tuple[User, User], quarantined: Callable[..., Item]
) -> None:
    item = quarantined(sender="ann@example.org", subject="Lunch")
    address, client = f"/quarantine/release/{release.token_for(item, people[0])}/", Client()
    asked = client.get(address)
    assert "Resend this message?" in asked.content.decode() and Item.objects.count() == 1
    assert asked["Referrer-Policy"] == "no-referrer"
    assert "on its way" in client.post(address).content.decode()
    assert Entry.objects.get().file_name == item.file_name and not Item.objects.exists()
    assert AuditEvent.objects.get().actor == "boss@example.org (digest)"
    again = client.post(address)
    assert again.status_code == 410 and "not in quarantine any more" in again.content.decode()


def test_a_link_needs_the_token_of_the_page_too(people: tuple[User, User], quarantined: Callable[..., Item]) -> None:
    item = quarantined(sender="ann@example.org")
    address = f"/quarantine/release/{release.token_for(item, people[0])}/"
    assert Client(enforce_csrf_checks=True).post(address).status_code == 403
    assert Item.objects.count() == 1


def test_dead_links_say_why(people: tuple[User, User], quarantined: Callable[..., Item]) -> None:
    boss, ann = people
    item = quarantined(sender="ann@example.org")
    client = Client()
    good = release.token_for(item, boss)
    bad = {
        good[:-2] + "xx": "not one of ours",
        release.token_for(item, ann): "may not resend",
        release.token_for(quarantined(ItemKind.VIRUS, sender="ann@example.org"), boss): "not in quarantine",
        release.token_for(quarantined(sender="x@elsewhere.example"), boss): "may not resend",
        signing.dumps("nonsense", salt="quarantine.items.release"): "not one of ours",
    }
    for token, why in bad.items():
        answer = client.post(f"/quarantine/release/{token}/")
        assert answer.status_code == 410 and why in answer.content.decode(), why
    boss.status = UserStatus.DISABLED
    boss.save()
    assert client.post(f"/quarantine/release/{good}/").status_code == 410
    assert not Entry.objects.exists() and timezone.now()
