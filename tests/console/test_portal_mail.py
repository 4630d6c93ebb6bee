"""What became of mail, why it waits, and the quarantine, on the user site: each sees and does what is their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions as accounts
from accounts.actor import NotAllowed
from accounts.models import Role, User
from base.one_row import OneRow
from mailspool.portal.mail import outcomes
from quarantine.actions import by_owner, listed
from quarantine.models import AntispamSettings, Item, ItemKind, ItemState, ListedSender
from quarantine.models.antispam import UsersRelease
from spool.actions import Actor
from spool.models import AuditEvent, Entry, Outcome, Trace
from spool.models.recipient import Kind
from spool.ownership import Ownership
from tests.quarantine.conftest import quarantined, spooled
from tests.support.messages import a_message, a_submission
from tests.support.spool_states import attempt, take_in

__all__ = ["quarantined", "spooled"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
ANN, BOB, BOSS = "ann@example.org", "bob@example.org", "boss@example.org"
EVE, OTHER = "eve@example.net", "boss@example.net"


@pytest.fixture(autouse=True)
def people() -> None:
    for name in ("example.org", "example.net"):
        accounts.add_domain(name)
    for email in (ANN, BOB, BOSS, EVE, OTHER):
        role = Role.DOMAIN_ADMINISTRATOR if email.startswith("boss") else Role.USER
        user = User(email=email, role=role, domain=accounts.get_domain(email.rpartition("@")[2]))
        user.set_unusable_password()
        user.save()


def browser(email: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
    return client


def sent(login: str, to: list[str], subject: str, *, sender: str = "") -> Entry:
    ours = all(address.endswith(("@example.org", "@example.net")) for address in to)
    (entry,) = take_in(a_submission(sender or login, to, Kind.LOCAL if ours else Kind.REMOTE, subject=subject))
    Entry.objects.filter(pk=entry.pk).update(auth_user=login)
    entry.refresh_from_db()
    return entry


def bounced(entry: Entry, reply: str = "550 5.1.1 No such user") -> Entry:
    attempt([entry], reply, outcome=Outcome.BOUNCED)
    return entry


def page(email: str, name: str, *args: str, **query: str) -> str:
    answer = browser(email).get(reverse(f"portal:{name}", args=args), query)
    assert answer.status_code == 200, (name, answer.status_code)
    return answer.content.decode()


def status(email: str, name: str, *args: str) -> int:
    return browser(email).get(reverse(f"portal:{name}", args=args)).status_code


class TestOutcomes:
    def test_a_user_sees_what_became_of_what_they_sent_and_why(self) -> None:
        bounced(sent(ANN, ["x@far.test"], "Hello from Ann"))
        bounced(sent(BOB, ["y@far.test"], "Hello from Bob"))
        text = page(ANN, "outcomes")
        assert "Hello from Ann" in text and "No such user" in text and "Bounced" in text
        assert "Hello from Bob" not in text

    def test_a_user_sees_what_came_for_their_mailbox(self) -> None:
        entry = sent(EVE, [ANN, BOB], "For two")
        attempt([entry], "250 2.0.0 Ok", outcome=Outcome.DELIVERED)
        for who, other in ((ANN, BOB), (BOB, ANN)):
            assert "For two" in page(who, "outcomes")
            told = page(who, "message", entry.file_name)
            assert who in told and f"<td>{other}</td>" not in told

    def test_a_forged_sender_shows_nobody_a_message_of_another(self) -> None:
        entry = bounced(sent(EVE, ["secret@far.test"], "Forged", sender=ANN))
        assert "Forged" not in page(ANN, "outcomes")
        assert "Forged" not in page(BOSS, "domain_outcomes")
        assert "Forged" not in page(BOSS, "domain_outcomes", q=ANN)
        assert status(ANN, "message", entry.file_name) == 404
        assert status(BOSS, "domain_message", entry.file_name) == 404
        assert "Forged" in page(OTHER, "domain_outcomes")

    def test_a_domain_administrator_sees_the_domain_and_no_other(self) -> None:
        mine, theirs = bounced(sent(ANN, ["x@far.test"], "Ours")), bounced(sent(EVE, ["x@far.test"], "Theirs"))
        assert "Ours" in page(BOSS, "domain_outcomes") and "Theirs" not in page(BOSS, "domain_outcomes")
        for asked in ("ann", ANN, "x@far.test"):
            text = page(BOSS, "domain_outcomes", q=asked)
            assert "Ours" in text and "Theirs" not in text
        assert "Nothing is known of eve@example.net" in page(BOSS, "domain_outcomes", q=EVE)
        assert (status(BOSS, "domain_message", mine.file_name), status(OTHER, "domain_message", mine.file_name)) == (
            200,
            404,
        )
        assert status(BOSS, "domain_message", theirs.file_name) == 404
        assert status(ANN, "domain_outcomes") == status(ANN, "domain_message", mine.file_name) == 403

    def test_of_a_message_to_two_domains_each_sees_its_own_recipients(self) -> None:
        entry = sent("", [ANN, EVE], "For both", sender="news@far.test")
        attempt([entry], "452 4.2.2 Mailbox of one is full")
        ours, theirs = (page(who, "domain_message", entry.file_name) for who in (BOSS, OTHER))
        assert ANN in ours and EVE not in ours
        assert EVE in theirs and ANN not in theirs

    def test_why_a_message_waits_with_its_attempts(self) -> None:
        entry = sent(ANN, ["x@far.test"], "Waits")
        attempt([entry])
        for who, name in ((ANN, "message"), (BOSS, "domain_message")):
            text = page(who, name, entry.file_name)
            assert "Greylisted, try again later" in text and "x@far.test" in text and "mx1.example.net" in text
        assert status(BOB, "message", entry.file_name) == status(EVE, "message", entry.file_name) == 404

    def test_each_page_goes_on_where_the_one_before_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outcomes, "PAGE", 2)
        monkeypatch.setattr(outcomes, "LOOKED_THROUGH", 3)
        for number in range(5):
            bounced(sent(ANN, [f"x{number}@far.test"], f"No. {number}"))
            bounced(sent(EVE, [f"y{number}@far.test"], "Theirs"))
        one, whole = (
            Ownership.of_person(User.objects.get(email=ANN)),
            Ownership.of_domain(User.objects.select_related("domain").get(email=BOSS)),
        )
        for found_by in (
            lambda after: outcomes.of_addresses(one, list(one.senders), after),
            lambda after: outcomes.of_all(whole, after),
        ):
            shown, after = [], ""
            for _ in range(20):
                found = found_by(after)
                shown += [trace.subject for trace in found.traces]
                if not (after := found.after):
                    break
            assert [subject for subject in shown if subject.startswith("No.")] == [f"No. {n}" for n in range(4, -1, -1)]
            assert "Theirs" not in shown

    def test_a_list_costs_as_many_queries_for_many_as_for_one(self, django_assert_max_num_queries: Any) -> None:
        client, link = browser(ANN), reverse("portal:outcomes")
        chief, whole = browser(BOSS), reverse("portal:domain_outcomes")
        for _ in range(6):
            bounced(sent(ANN, ["x@far.test"], "Hello"))
        with django_assert_max_num_queries(16):
            client.get(link)
        with django_assert_max_num_queries(8):
            chief.get(whole)


class TestQuarantine:
    @pytest.fixture
    def spam(self, quarantined: Callable[..., Item]) -> Item:
        return self.of(quarantined(sender=ANN, to=["x@far.test"], subject="Win a prize"), ANN)

    def of(self, item: Item, login: str) -> Item:
        """As if `login` had handed it in."""
        Item.objects.filter(pk=item.pk).update(auth_user=login)
        item.refresh_from_db()
        return item

    def let(self, what: UsersRelease) -> None:
        AntispamSettings.objects.update_or_create(pk=1, defaults={"users_release": what})
        OneRow.forget()

    def do(self, email: str, item: Item, what: str, name: str = "quarantine_item") -> int:
        return browser(email).post(reverse(f"portal:{name}", args=[item.file_name]), {"do": what}).status_code

    def test_a_user_sees_their_own_and_asks_for_its_release(self, spam: Item) -> None:
        assert "Win a prize" in page(ANN, "quarantine") and "Win a prize" not in page(BOB, "quarantine")
        text = page(ANN, "quarantine_item", spam.file_name)
        assert "Request release" in text and "12.5 points" in text
        assert ">Release<" not in text and ">Delete<" not in text
        assert self.do(ANN, spam, "ask") == 302
        assert self.do(ANN, spam, "release") == self.do(ANN, spam, "delete") == 403
        spam.refresh_from_db()
        assert (spam.asked_by, spam.state) == (ANN, ItemState.HELD)
        assert [event.action for event in AuditEvent.objects.filter(actor=ANN)] == ["request release"]
        assert "Release requested" in page(BOSS, "domain_quarantine")
        assert "Release requested" not in page(OTHER, "domain_quarantine")

    def test_asking_twice_is_asking_once(self, spam: Item) -> None:
        assert self.do(ANN, spam, "ask") == self.do(ANN, spam, "ask") == 302
        assert AuditEvent.objects.filter(action="request release").count() == 1

    def test_a_user_releases_it_where_the_settings_say_so(self, spam: Item) -> None:
        self.let(UsersRelease.RELEASE)
        assert ">Release<" in page(ANN, "quarantine_item", spam.file_name)
        assert self.do(BOB, spam, "release") == self.do(EVE, spam, "release") == 404
        assert self.do(ANN, spam, "release") == 302
        assert Entry.objects.filter(file_name=spam.file_name).exists()
        assert AuditEvent.objects.get(action="quarantine-resend").actor == ANN

    @pytest.mark.parametrize("what", ["release", "delete"])
    def test_a_domain_administrator_releases_and_deletes_in_the_domain_alone(self, spam: Item, what: str) -> None:
        assert self.do(OTHER, spam, what, "domain_quarantine_item") == 404
        assert self.do(ANN, spam, what, "domain_quarantine_item") == 403
        assert Item.objects.get(pk=spam.pk).state == ItemState.HELD
        assert self.do(BOSS, spam, what, "domain_quarantine_item") == 302
        assert not Item.objects.filter(pk=spam.pk, state=ItemState.HELD).exists()
        assert Entry.objects.filter(file_name=spam.file_name).exists() is (what == "release")

    def test_nobody_here_releases_a_virus(self, quarantined: Callable[..., Item]) -> None:
        self.let(UsersRelease.RELEASE)
        virus = self.of(quarantined(ItemKind.VIRUS, "Eicar", sender=ANN), ANN)
        for who, name in ((ANN, "quarantine_item"), (BOSS, "domain_quarantine_item")):
            text = page(who, name, virus.file_name)
            assert "Eicar" in text and ">Release<" not in text and ">Delete<" not in text
            assert self.do(who, virus, "release", name) == self.do(who, virus, "delete", name) == 403
        assert Item.objects.get(pk=virus.pk).state == ItemState.HELD
        assert "Eicar" in browser(ANN).get(reverse("portal:quarantine"), {"view": "virus"}).content.decode()

    def test_what_another_sent_in_ones_name_is_not_ones_own(self, spam: Item) -> None:
        self.of(spam, EVE)
        assert "Win a prize" not in page(ANN, "quarantine") and "Win a prize" not in page(BOSS, "domain_quarantine")
        assert status(ANN, "quarantine_item", spam.file_name) == 404
        assert status(BOSS, "domain_quarantine_item", spam.file_name) == 404
        assert self.do(BOSS, spam, "release", "domain_quarantine_item") == 404
        assert (
            "Win a prize" in browser(EVE).get(reverse("portal:quarantine_item", args=[spam.file_name])).content.decode()
        )

    def test_what_came_for_several_is_released_by_none_of_them(self, quarantined: Callable[..., Item]) -> None:
        self.let(UsersRelease.RELEASE)
        item = quarantined(sender="x@far.test", to=[ANN, EVE])
        text = page(ANN, "quarantine_item", item.file_name)
        assert f"<dt>Recipients</dt><dd>{ANN}</dd>" in text and ">Release<" not in text
        assert self.do(ANN, item, "release") == self.do(BOSS, item, "release", "domain_quarantine_item") == 403
        assert "x@far.test" in browser(ANN).get(reverse("portal:quarantine"), {"view": "spam-in"}).content.decode()

    def test_the_functions_themselves_ask_who_acts(self, spam: Item) -> None:
        ann, actor = User.objects.get(email=ANN), Actor(BOB, Role.USER, "example.org")
        for act in (by_owner.release, by_owner.delete, by_owner.ask):
            with pytest.raises(NotAllowed):
                act(actor, ann, spam)

    def test_pages_beyond_the_first(self, quarantined: Callable[..., Item], monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(3):
            self.of(quarantined(sender=ANN, subject=f"No. {number}"), ANN)
        Item.objects.update(at=timezone.now())
        first = browser(ANN).get(reverse("portal:quarantine"), {"after": str(Item.objects.latest("pk").pk)})
        assert "No. 2" not in first.content.decode() and "No. 1" in first.content.decode()


def test_the_pages_read_along_an_index() -> None:
    """What a million rows would cost is decided by the plan."""
    from django.db import connection

    if connection.vendor != "sqlite":
        return
    owner = Ownership.of_person(User.objects.get(email=ANN))
    plan = Trace.objects.filter(owner.traces, sender=ANN).order_by("-ended", "-id")[:51].explain()
    assert "trace_sender" in plan and "SCAN" not in plan


class TestListedSenders:
    """Each keeps the own lists; who administers the domain, and help desk, those of its users."""

    def lists(self, email: str) -> set[tuple[str, str]]:
        return set(ListedSender.objects.filter(user__email=email).values_list("pattern", "listing"))

    def test_a_user_allows_blocks_and_removes(self) -> None:
        here, client = reverse("portal:listed_senders"), browser(ANN)
        for do, sender in (("allow", "Friend@Far.test"), ("block", "*@spam.test"), ("block", "friend@far.test")):
            assert client.post(here, {"do": do, "sender": sender}).status_code == 302
        assert self.lists(ANN) == {("friend@far.test", "block"), ("spam.test", "block")}
        text = page(ANN, "listed_senders")
        assert "spam.test" in text and "2 of at most 500" in text
        client.post(here, {"do": "remove", "sender": "spam.test"})
        assert self.lists(ANN) == {("friend@far.test", "block")} and not self.lists(BOB)
        said = AuditEvent.objects.order_by("-pk").values_list("actor", "action", "on")[:4]
        assert {one[1] for one in said} == {"allow-sender", "block-sender", "unlist-sender"}
        assert {(one[0], one[2]) for one in said} == {(ANN, ANN)}

    @pytest.mark.parametrize("sender", ["", "nonsense", "a b@far.test", "test", ANN])
    def test_what_can_not_be_listed_is_said_and_stays_in_the_field(self, sender: str) -> None:
        answer = browser(ANN).post(reverse("portal:listed_senders"), {"do": "block", "sender": sender})
        text = answer.content.decode()
        assert answer.status_code == 200 and f'value="{sender}"' in text and not self.lists(ANN)
        assert "neither an address nor a domain" in text or "whole domain" in text or "own address" in text

    def test_a_list_has_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listed, "MOST", 2)
        client = browser(ANN)
        for number in range(3):
            answer = client.post(reverse("portal:listed_senders"), {"do": "block", "sender": f"s{number}.test"})
        assert "2 senders are the most that a mailbox lists: remove some first." in answer.content.decode()
        client.post(reverse("portal:listed_senders"), {"do": "allow", "sender": "s1.test"})
        assert self.lists(ANN) == {("s0.test", "block"), ("s1.test", "allow")}

    def test_a_domain_administrator_keeps_those_of_the_domain_and_of_no_other(self) -> None:
        for who, wanted in ((BOSS, 302), (OTHER, 404), (BOB, 403)):
            here = reverse("portal:user_senders", args=[User.objects.get(email=ANN).pk])
            assert browser(who).post(here, {"do": "allow", "sender": f"{who[:3]}.test"}).status_code == wanted
        assert self.lists(ANN) == {("bos.test", "allow")}
        assert here in page(BOSS, "edit_users", str(User.objects.get(email=ANN).pk))

    def test_help_desk_keeps_those_of_users_and_who_only_reads_looks(self) -> None:
        for email, role in (("help@example.org", Role.HELP_DESK), ("reads@example.org", Role.READ_ONLY)):
            user = User(email=email, role=role, domain=accounts.get_domain("example.org"))
            user.set_unusable_password()
            user.save()
        here, staff = (
            reverse("listed_senders", args=[User.objects.get(email=email).pk]) for email in (ANN, "help@example.org")
        )
        helper, reader = browser("help@example.org"), browser("reads@example.org")
        assert helper.post(here, {"do": "block", "sender": "spam.test"}).status_code == 302
        assert (
            here
            in helper.get(reverse("admin:accounts_user_change", args=[User.objects.get(email=ANN).pk])).content.decode()
        )
        shown = reader.get(here)
        assert "spam.test" in shown.content.decode() and 'name="do"' not in shown.content.decode()
        assert reader.post(here, {"do": "remove", "sender": "spam.test"}).status_code == 403
        helper.post(staff, {"do": "block", "sender": "spam.test"})
        assert self.lists(ANN) == {("spam.test", "block")} and not self.lists("reads@example.org")
        helper.post(
            reverse("listed_senders", args=[User.objects.get(email="reads@example.org").pk]),
            {"do": "block", "sender": "x.test"},
        )
        assert not self.lists("reads@example.org")

    def test_beside_quarantined_mail(self, quarantined: Callable[..., Item]) -> None:
        theirs = quarantined(sender="bounce@far.test", to=[ANN], content=a_message(ANN, "eve@shop.test", "Shoes"))
        Item.objects.update(blocked_by=ANN)
        here = reverse("portal:quarantine_item", args=[theirs.file_name])
        text = page(ANN, "quarantine_item", theirs.file_name)
        assert "Release and allow the sender" in text and "Block the sender" not in text
        assert browser(ANN).post(here, {"do": "release-allow"}).status_code == 302
        assert self.lists(ANN) == {("eve@shop.test", "allow")} and not Item.objects.exists()

    def test_own_mail_offers_neither(self, quarantined: Callable[..., Item]) -> None:
        mine = quarantined(sender=ANN, auth_user=ANN, to=["x@far.test"])
        text = page(ANN, "quarantine_item", mine.file_name)
        assert "allow the sender" not in text and "Block the sender" not in text
        here = reverse("portal:quarantine_item", args=[mine.file_name])
        assert browser(ANN).post(here, {"do": "block"}).status_code == 403 and not self.lists(ANN)
