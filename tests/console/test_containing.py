"""Contain: one action for an account in wrong hands, its review, and the way back. On the page and from the shell."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions, containing
from accounts.actor import Actor, NotAllowed
from accounts.models import Containment, Login, Role, Status, User, WebSession
from spool.actions import perform
from spool.actions.actor import Actor as SpoolActor
from spool.models import AuditEvent, Entry
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
PASSWORD = "correct-horse-battery"
ROOT = Actor("root@localhost", Role.SYSTEM_ADMINISTRATOR)


@pytest.fixture
def ann() -> User:
    actions.add_domain("example.org")
    return actions.add_user("ann@example.org", PASSWORD)


@pytest.fixture
def root(client: Client) -> Client:
    user = User(email="root@localhost", role=Role.SYSTEM_ADMINISTRATOR)
    user.set_unusable_password()
    user.save()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def sent(user: User | str, number: int = 1) -> list[Entry]:
    entries = take_in(*[a_submission(str(user), f"x{i}@elsewhere.test") for i in range(number)])
    Entry.objects.filter(pk__in=[entry.pk for entry in entries]).update(auth_user=str(user))
    return entries


def page(client: Client, user: User, **posted: str) -> str:
    path = reverse("admin:accounts_user_contain", args=[user.pk])
    answer = client.post(path, posted, follow=True) if posted else client.get(path)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def test_one_action_shuts_the_account_puts_everybody_out_and_holds_its_mail(ann: User) -> None:
    browser = Client()
    browser.post(reverse("portal:login"), {"username": ann.email, "password": PASSWORD})
    hers, other = sent(ann, 3), sent("bob@example.org")
    containment = containing.contain(ROOT, ann)
    ann.refresh_from_db()
    assert ann.status == Status.RECEIVING
    assert not ann.check_password(PASSWORD)
    assert not WebSession.objects.filter(user=ann).exists()
    assert browser.get(reverse("portal:home")).status_code == 302
    assert Entry.objects.held().count() == len(hers)
    assert not Entry.objects.get(pk=other[0].pk).hold
    said = " ".join(containment.said)
    for part in (
        "Disable and Allow Mail",
        "Password reset to a random one.",
        "1 connection ended: 1 web.",
        "3 messages in the spool put on hold",
    ):
        assert part in said
    assert AuditEvent.objects.filter(actor=ROOT.name, action="contain", on=ann.email).exists()


def test_a_false_alarm_is_undone_as_a_whole(ann: User) -> None:
    sent(ann, 2)
    [mine] = sent(ann)
    perform("hold", [mine.pk], SpoolActor.system(), reason="Somebody else's hold")
    containment = containing.contain(ROOT, ann)
    said = containing.undo(ROOT, containment, old_password=True)
    ann.refresh_from_db()
    assert ann.status == Status.ENABLED
    assert ann.check_password(PASSWORD)
    assert "2 messages released" in said
    # What somebody else put on hold is not ours to release.
    assert list(Entry.objects.held().values_list("pk", flat=True)) == [mine.pk]
    containment.refresh_from_db()
    assert (containment.password_before, containment.password_after) == ("", "")
    with pytest.raises(actions.Refused, match="closed already"):
        containing.undo(ROOT, containment, old_password=True)


def test_opening_again_keeps_the_new_password(ann: User) -> None:
    containment = containing.contain(ROOT, ann, password="another-horse-battery")
    containing.undo(ROOT, containment, old_password=False)
    ann.refresh_from_db()
    assert ann.check_password("another-horse-battery")


def test_a_password_that_was_set_meanwhile_is_not_replaced_by_the_old_one(ann: User) -> None:
    containment = containing.contain(ROOT, ann)
    actions.change_password(ROOT, ann, "a-third-horse-battery")
    assert "so it stays" in containing.undo(ROOT, containment, old_password=True)
    ann.refresh_from_db()
    assert ann.check_password("a-third-horse-battery")


def test_containing_twice_keeps_what_was_there_before_the_first_time(ann: User) -> None:
    first = containing.contain(ROOT, ann)
    sent(ann)
    assert containing.contain(ROOT, ann).pk == first.pk
    assert Entry.objects.held().count() == 1
    containing.undo(ROOT, Containment.objects.get(pk=first.pk), old_password=True)
    ann.refresh_from_db()
    assert (ann.status, ann.check_password(PASSWORD)) == (Status.ENABLED, True)


def test_a_disabled_account_stays_disabled(ann: User) -> None:
    actions.set_user_status(ROOT, ann, Status.DISABLED)
    containment = containing.contain(ROOT, ann)
    ann.refresh_from_db()
    assert ann.status == Status.DISABLED
    containing.undo(ROOT, containment, old_password=False)
    ann.refresh_from_db()
    assert ann.status == Status.DISABLED


def test_who_may_not_may_not(ann: User) -> None:
    bob = actions.add_user("bob@example.org", PASSWORD)
    with pytest.raises(NotAllowed):
        containing.contain(Actor.of(bob), ann)
    with pytest.raises(actions.Refused, match="can't contain yourself"):
        containing.contain(Actor.of(ann), ann)
    with pytest.raises(ValidationError):
        containing.contain(ROOT, ann, password="short")
    ann.refresh_from_db()
    assert (ann.status, ann.check_password(PASSWORD)) == (Status.ENABLED, True)


def test_logins_from_new_addresses_are_pointed_at(ann: User) -> None:
    now = timezone.now()
    for ip, days in (("192.0.2.1", 10), ("192.0.2.1", 0), ("203.0.113.66", 0)):
        moment = now - timedelta(days=days)
        Login.objects.create(user=ann, protocol="SMTP", ip=ip, day=moment.date(), first=moment, last=moment)
    found = {(seen.login.ip, seen.is_new) for seen in containing.logins_of(ann, now, now)}
    assert found == {("192.0.2.1", False), ("203.0.113.66", True)}


class TestPage:
    def test_the_screen_shows_all_that_one_needs_to_judge(self, root: Client, ann: User) -> None:
        actions.change(ann, forward_to="eve@evil.example")
        actions.add_alias("sales@example.org", [ann.email])
        sent(ann, 2)
        Client().post(reverse("portal:login"), {"username": ann.email, "password": PASSWORD})
        shown = page(root, ann)
        for part in (
            "eve@evil.example",
            "sales@example.org",
            "2 messages in the spool that are not on hold",
            "127.0.0.1",
            "Contain this account",
        ):
            assert part in shown, part

    def test_contain_review_and_undo(self, root: Client, ann: User) -> None:
        actions.change(ann, forward_to="eve@evil.example")
        before = list(AuditEvent.objects.values_list("pk", flat=True))
        sent(ann)
        shown = page(root, ann, do="contain")
        assert "1 message on hold in the spool" in shown
        assert 'id="contained"' in shown
        assert "Mail of ann@example.org is not forwarded any more. It went to eve@evil.example." in page(
            root, ann, do="forwarding"
        )
        assert "ann@example.org is enabled again." in page(root, ann, do="false-alarm")
        assert "It was contained before" in page(root, ann)
        written = AuditEvent.objects.filter(kind="user", row_id=ann.pk).exclude(pk__in=before)
        actors = set(written.values_list("actor", flat=True))
        assert actors == {"root@localhost"}

    @pytest.mark.parametrize(
        ("button", "said"),
        [
            ("false-alarm", "The old password is valid again."),
            ("forwarding", "It goes to eve@evil.example now."),
            ("drop", "Every connection of the user ends now"),
        ],
    )
    def test_what_is_dangerous_asks_first(self, root: Client, ann: User, button: str, said: str) -> None:
        actions.change(ann, forward_to="eve@evil.example")
        containing.contain(ROOT, ann)
        events = AuditEvent.objects.count()
        assert f'name="ask" value="{button}"' in page(root, ann) or button == "drop"
        asked = page(root, ann, ask=button)
        assert said in asked and f'name="do" value="{button}"' in asked
        assert AuditEvent.objects.count() == events

    def test_what_can_t_be_done_is_said(self, root: Client, ann: User) -> None:
        assert "is not contained" in page(root, ann, do="reopen")
        assert "too short" in page(root, ann, do="contain", password="short")
        own = User.objects.get(email="root@localhost")
        assert "Contain this account" not in page(root, own)
        assert "contain yourself" in page(root, own, do="contain")

    def test_the_link_leads_to_the_messages(self, root: Client, ann: User) -> None:
        [entry] = sent(ann)
        containing.contain(ROOT, ann)
        link = re.search(r'href="(/admin/spool/entry/\?[^"]*)"', page(root, ann))
        assert link is not None
        assert entry.file_name in root.get(link[1].replace("&amp;", "&")).content.decode()

    def test_change_password_and_status_go_back_where_one_came_from_and_nowhere_else(
        self, root: Client, ann: User
    ) -> None:
        path = reverse("admin:accounts_user_password", args=[ann.pk])
        assert "too short" in root.post(path, {"password": "short"}).content.decode()
        answer = root.post(path, {"password": "another-horse-battery", "next": "/admin/spool/entry/"})
        assert answer["Location"] == "/admin/spool/entry/"
        path = reverse("admin:accounts_user_status", args=[ann.pk])
        answer = root.post(path, {"status": "receiving", "next": "https://evil.example/"})
        assert answer["Location"] == reverse("admin:accounts_user_change", args=[ann.pk])
        ann.refresh_from_db()
        assert ann.status == Status.RECEIVING
        assert "The status is one of" in root.post(path, {"status": "x"}, follow=True).content.decode()

    @pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
    @pytest.mark.parametrize("name", ["contain", "password", "status", "connections", "drop_connections"])
    def test_only_system_administrators_get_there(self, ann: User, role: Role, name: str) -> None:
        User.objects.filter(pk=ann.pk).update(role=role)
        client = Client()
        client.force_login(User.objects.get(pk=ann.pk), backend="django.contrib.auth.backends.ModelBackend")
        path = reverse(f"admin:accounts_user_{name}", args=[] if "connections" in name else [ann.pk])
        for answer in (client.get(path), client.post(path, {"do": "contain", "status": "disabled", "user": ann.email})):
            assert answer.status_code == 302
            assert answer["Location"].startswith("/admin/login/")
        ann.refresh_from_db()
        assert ann.status == Status.ENABLED


class TestConnectionsPage:
    def test_it_lists_finds_and_drops(self, root: Client, ann: User) -> None:
        browser = Client()
        browser.post(reverse("portal:login"), {"username": ann.email, "password": PASSWORD})
        path = reverse("admin:accounts_user_connections")
        assert ann.email in root.get(path).content.decode()
        for asked in (ann.email, "example.org", "127.0.0.1"):
            assert ann.email in root.get(path, {"q": asked}).content.decode()
        assert (
            "Nobody is connected as or from bob@example.org"
            in root.get(path, {"q": "bob@example.org"}).content.decode()
        )
        session = WebSession.objects.get(user=ann)
        answer = root.post(reverse("admin:accounts_user_drop_connections"), {"id": str(session.public_id)}, follow=True)
        assert "1 connection ended: 1 web." in answer.content.decode()
        assert browser.get(reverse("portal:home")).status_code == 302

    def test_a_refresh_is_the_table_alone(self, root: Client) -> None:
        part = root.get(reverse("admin:accounts_user_connections"), headers={"hx-request": "true"}).content.decode()
        assert "<html" not in part
        assert "ms-list" in part

    def test_dropping_everybody_from_the_own_address_leaves_the_own_session(self, root: Client) -> None:
        path = reverse("admin:accounts_user_drop_connections")
        for posted in ({"ip": "127.0.0.1"}, {"user": "root@localhost"}, {}):
            root.post(path, posted)
            assert root.get("/admin/accounts/user/").status_code == 200

    def test_the_number_of_queries_does_not_grow(
        self, root: Client, ann: User, django_assert_max_num_queries: Any
    ) -> None:
        path = reverse("admin:accounts_user_connections")
        for _ in range(30):
            Client().force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
        with django_assert_max_num_queries(10):
            assert root.get(path).content.decode().count('class="cells"') >= 30


class TestCommand:
    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
        call_command("account", "--json", "user", *arguments)
        rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return rows

    def test_contain_and_open_again(self, ann: User, capsys: pytest.CaptureFixture[str]) -> None:
        sent(ann)
        [done] = self.run(capsys, "contain", ann.email)
        assert "1 message in the spool put on hold." in done["done"]
        assert Entry.objects.held().count() == 1
        [undone] = self.run(capsys, "uncontain", ann.email, "--old-password")
        assert "The old password is valid again." in undone["done"]
        with pytest.raises(SystemExit):
            call_command("account", "user", "uncontain", ann.email)
        assert "is not contained" in capsys.readouterr().err

    def test_connections_logins_and_history(self, ann: User, capsys: pytest.CaptureFixture[str]) -> None:
        browser = Client(headers={"user-agent": "Browser/1.0"})
        browser.post(reverse("portal:login"), {"username": ann.email, "password": PASSWORD})
        [one] = self.run(capsys, "connections", "--user", ann.email)
        assert (one["protocol"], one["ip"], one["detail"]) == ("Web", "127.0.0.1", "Browser/1.0")
        [login] = self.run(capsys, "logins", ann.email)
        assert (login["ip"], login["count"]) == ("127.0.0.1", 1)
        [dropped] = self.run(capsys, "drop", ann.email)
        assert dropped["web"] == 1
        assert browser.get(reverse("portal:home")).status_code == 302
        event, made = self.run(capsys, "history", ann.email)
        assert (made["action"], made["actor"]) == ("add user", "mailspool")
        assert event["action"] == "drop connections"
        assert event["actor"].endswith("(shell)")
