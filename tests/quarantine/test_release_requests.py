"""Who is told that users request a release, how often, and which users have to request it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts import actions as accounts
from accounts.actor import NotAllowed
from accounts.models import Domain, Role, User
from base.one_row import OneRow
from quarantine import release_requests
from quarantine.actions import by_owner
from quarantine.models import AntispamSettings, Item
from spool.actions import Actor
from spool.files import store
from spool.models import AlertRule, Entry
from spool.models import settings as spool_settings

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
ANN, BOSS, EVE = "ann@example.org", "boss@example.org", "eve@example.net"


@pytest.fixture(autouse=True)
def people() -> None:
    AlertRule.objects.all().delete()
    for name in ("example.org", "example.net"):
        accounts.add_domain(name)
    for email in (ANN, BOSS, EVE):
        role = Role.DOMAIN_ADMINISTRATOR if email == BOSS else Role.USER
        user = User(email=email, role=role, domain=accounts.get_domain(email.rpartition("@")[2]))
        user.set_unusable_password()
        user.save()
    spool_settings.forget()


@pytest.fixture
def request_release(quarantined: Callable[..., Item]) -> Callable[..., Item]:
    def request_release(email: str = ANN, subject: str = "Prize") -> Item:
        item, user = quarantined(sender=email, auth_user=email, subject=subject), User.objects.get(email=email)
        by_owner.ask(Actor.of(user), user, item)
        return Item.objects.get(pk=item.pk)

    return request_release


def mails() -> list[tuple[list[str], str]]:
    """To whom, and what about, in their order."""
    told = Entry.objects.filter(sender="").order_by("id")
    return [([one.address for one in entry.recipients.all()], entry.subject) for entry in told]


def text_of(entry: Entry) -> str:
    return store.path_of(entry.subspool, entry.file_name).read_text()


def test_a_domains_administrators_get_one_mail_for_all_that_was_requested(
    request_release: Callable[..., Item],
) -> None:
    for number in range(3):
        request_release(subject=f"Prize {number}")
    release_requests.sweep()
    [(addresses, subject)] = mails()
    assert addresses == [BOSS] and subject.endswith("3 release requests for quarantined mail")
    told = text_of(Entry.objects.get(sender=""))
    assert all(f"Prize {number}" in told for number in range(3)) and ANN in told and "/me/domain/quarantine/" in told


def test_a_flood_of_requests_is_no_flood_of_mail(
    request_release: Callable[..., Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_requests, "MOST_LISTED", 2)
    start = timezone.now()
    request_release()
    release_requests.sweep()
    for minute in range(1, 30, 5):
        with time_machine.travel(start + timedelta(minutes=minute), tick=False):
            request_release()
            release_requests.sweep()
    assert len(mails()) == 1
    with time_machine.travel(start + timedelta(minutes=31), tick=False):
        release_requests.sweep()
        release_requests.sweep()
    assert [subject.partition("] ")[2].partition(" ")[0] for _, subject in mails()] == ["1", "6"]
    assert "And 4 more." in text_of(Entry.objects.filter(sender="").order_by("-id")[0])


def test_one_domain_does_not_keep_another_waiting(request_release: Callable[..., Item]) -> None:
    request_release()
    release_requests.sweep()
    request_release()
    request_release(EVE)
    release_requests.sweep()
    assert [addresses for addresses, _ in mails()] == [[BOSS], ["postmaster@mail.test"]]


def test_without_administrators_of_the_domain_those_who_get_alerts_are_told(
    request_release: Callable[..., Item],
) -> None:
    AlertRule.objects.create(name="Depth", kind="depth", threshold=5, mail_to="ops@far.test\nchief@far.test")
    AlertRule.objects.create(name="Off", kind="depth", threshold=5, mail_to="old@far.test", enabled=False)
    request_release(EVE)
    release_requests.sweep()
    assert [addresses for addresses, _ in mails()] == [["chief@far.test"], ["ops@far.test"]]


def test_what_was_released_meanwhile_is_not_told_of(request_release: Callable[..., Item]) -> None:
    item, boss = request_release(), User.objects.get(email=BOSS)
    by_owner.release(Actor.of(boss), boss, item)
    release_requests.sweep()
    assert not mails()


@pytest.mark.parametrize(
    ("server", "domain", "asks"),
    [("ask", "", True), ("release", "", False), ("release", "ask", True), ("ask", "release", False)],
)
def test_a_domains_choice_goes_before_the_servers(
    server: str, domain: str, asks: bool, quarantined: Callable[..., Item]
) -> None:
    AntispamSettings.objects.update_or_create(pk=1, defaults={"users_release": server})
    Domain.objects.filter(name="example.org").update(users_release=domain)
    OneRow.forget()
    ann = User.objects.select_related("domain").get(email=ANN)
    item = quarantined(sender=ANN, auth_user=ANN)
    if asks:
        with pytest.raises(NotAllowed):
            by_owner.release(Actor.of(ann), ann, item)
    else:
        by_owner.release(Actor.of(ann), ann, item)
    assert Item.objects.filter(pk=item.pk).exists() is asks
