"""The user site: what people see and do there, and what they can't reach."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts import actions, history
from accounts.models import (
    Alias,
    Domain,
    DomainUserDefaults,
    MailingList,
    Role,
    Status,
    User,
    WebSession,
)
from base.audit.models import AuditEvent
from mailspool.portal import access, forms, urls
from security import login_protection
from security.models import LoginRules
from spool.models import Entry, Trashed
from tests.support.forms import UNLIMITED
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
PASSWORD = "correct-horse-battery"
DOMAIN_PAGES = [url for _, _, url in access.DOMAIN]
OWN_PAGES = [url for _, _, url in access.OWN]


def a_user(email: str, **fields: Any) -> User:
    """Without a password: hashing one takes longer than most tests."""
    user = User(email=email, domain=Domain.objects.filter(name=email.rpartition("@")[2]).first(), **fields)
    user.set_unusable_password()
    user.save()
    return user


@pytest.fixture(autouse=True)
def people() -> None:
    for name in ("example.org", "example.net"):
        actions.add_domain(name)
        for person in ("ann", "bob"):
            a_user(f"{person}@{name}")
        a_user(f"chief@{name}", role=Role.DOMAIN_ADMINISTRATOR)
    a_user("root@example.org", role=Role.SYSTEM_ADMINISTRATOR)


def the(email: str) -> User:
    return User.objects.get(email=email)


def browser(email: str) -> Client:
    client = Client()
    client.force_login(the(email), backend="django.contrib.auth.backends.ModelBackend")
    return client


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def sent_by(email: str, number: int = 1) -> list[Entry]:
    entries = take_in(*[a_submission(email, f"x{i}@elsewhere.test") for i in range(number)])
    Entry.objects.filter(pk__in=[entry.pk for entry in entries]).update(auth_user=email)
    return entries


def user_fields(**fields: object) -> dict[str, object]:
    return {
        "email": "new@example.org",
        "name": "",
        "new_password": PASSWORD,
        "role": "user",
        "status": "enabled",
        "forward_to": "",
        "forward_keeps_copy": "on",
        "mailbox_mb": 0,
        "max_message_kb": 0,
        "max_recipients": 0,
        **UNLIMITED,
        **fields,
    }


class TestWho:
    """Each role against each address."""

    ARGUMENTS = {"pk": 1, "verb": "release", "kind": "user", "name": "enable", "file_name": "x.eml"}

    @pytest.mark.parametrize("pattern", urls.urlpatterns, ids=lambda pattern: pattern.name)
    def test_nobody_who_is_not_logged_in_sees_a_page(self, pattern: Any) -> None:
        if str(pattern.pattern).startswith(("login/", "logout/")):
            return
        arguments = {name: value for name, value in self.ARGUMENTS.items() if f":{name}>" in str(pattern.pattern)}
        path = reverse(f"portal:{pattern.name}", kwargs=arguments)
        for answer in (Client().get(path), Client().post(path)):
            assert answer.status_code in (302, 405)
            if answer.status_code == 302:
                assert answer["Location"].startswith("/me/login/?next=")

    @pytest.mark.parametrize("page", OWN_PAGES)
    @pytest.mark.parametrize("email", ["ann@example.org", "chief@example.org", "root@example.org"])
    def test_everybody_has_pages_of_their_own(self, page: str, email: str) -> None:
        answer = browser(email).get(reverse(page))
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        "pattern", [p for p in urls.urlpatterns if str(p.pattern).startswith("domain/")], ids=lambda p: p.name
    )
    @pytest.mark.parametrize("email", ["ann@example.org", "root@example.org"])
    def test_a_domains_pages_are_closed_to_all_but_its_administrators(self, pattern: Any, email: str) -> None:
        arguments = {name: value for name, value in self.ARGUMENTS.items() if f":{name}>" in str(pattern.pattern)}
        client, path = browser(email), reverse(f"portal:{pattern.name}", kwargs=arguments)
        assert {client.get(path).status_code, client.post(path).status_code} <= {403, 405}

    @pytest.mark.parametrize("page", DOMAIN_PAGES)
    def test_an_administrator_of_a_domain_sees_it(self, page: str) -> None:
        shown = browser("chief@example.org").get(reverse(page))
        assert shown.status_code == 200
        assert "example.net" not in text(shown).replace("backup@example.net", "")

    @pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/accounts/user/connections/"])
    @pytest.mark.parametrize("email", ["ann@example.org", "chief@example.org"])
    def test_the_console_stays_closed(self, path: str, email: str) -> None:
        assert browser(email).get(path).status_code == 302

    def test_a_disabled_user_is_out_and_can_t_come_back(self) -> None:
        actions.add_user("zoe@example.org", PASSWORD)
        client = Client()
        login = {"username": "zoe@example.org", "password": PASSWORD}
        assert client.post(reverse("portal:login"), login).status_code == 302
        assert client.get(reverse("portal:home")).status_code == 200
        from accounts.actor import Actor

        actions.set_user_status(Actor.system(), the("zoe@example.org"), Status.RECEIVING)
        assert client.get(reverse("portal:home")).status_code == 302
        assert client.post(reverse("portal:login"), login).status_code == 200

    def test_a_login_leads_to_nowhere_else(self) -> None:
        actions.add_user("zoe@example.org", PASSWORD)
        answer = Client().post(
            reverse("portal:login"),
            {"username": "zoe@example.org", "password": PASSWORD, "next": "https://evil.example/"},
        )
        assert answer["Location"] == "/me/"

    def test_a_login_has_a_new_session_key(self) -> None:
        actions.add_user("zoe@example.org", PASSWORD)
        client = Client()
        client.session["x"] = 1
        before = client.session.session_key
        client.post(reverse("portal:login"), {"username": "zoe@example.org", "password": PASSWORD})
        assert client.session.session_key != before

    def test_forms_need_their_token_and_no_other_site_can_frame_them(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(the("ann@example.org"), backend="django.contrib.auth.backends.ModelBackend")
        assert client.post(reverse("portal:forwarding"), {"forward_to": "eve@evil.example"}).status_code == 403
        assert client.get(reverse("portal:home"))["X-Frame-Options"] == "DENY"
        assert Client().get(reverse("portal:login"), headers={"host": "evil.example"}).status_code == 400


class TestOwn:
    def test_forwarding_is_changed_and_written_down(self) -> None:
        client = browser("ann@example.org")
        answer = client.post(reverse("portal:forwarding"), {"forward_to": "Ann@Elsewhere.test, b@c.test"}, follow=True)
        assert "Saved." in text(answer)
        ann = the("ann@example.org")
        assert ann.forward_addresses == ["Ann@elsewhere.test", "b@c.test"]
        assert not ann.forward_keeps_copy
        [event] = history.of_user(ann)
        assert (event.actor, event.action) == ("ann@example.org", "change user")
        assert "Forwarding: nobody → Ann@elsewhere.test, b@c.test" in event.outcome

    @pytest.mark.parametrize("wrong", ["not-an-address", "ann@example.org"])
    def test_a_forwarding_that_can_t_be_is_refused(self, wrong: str) -> None:
        answer = browser("ann@example.org").post(reverse("portal:forwarding"), {"forward_to": wrong})
        assert answer.status_code == 200
        assert "errorlist" in text(answer)
        assert the("ann@example.org").forward_to == ""

    def test_nobody_can_change_what_is_not_theirs_to_change(self) -> None:
        client = browser("ann@example.org")
        client.post(reverse("portal:settings"), {"name": "Ann", "role": "admin", "status": "enabled", "mailbox_mb": 9})
        ann = the("ann@example.org")
        assert (ann.name, ann.role, ann.mailbox_mb) == ("Ann", Role.USER, 0)

    def test_the_old_password_can_be_guessed_as_little_as_at_a_login(self) -> None:
        ann = the("ann@example.org")
        ann.set_password(PASSWORD)
        ann.save()
        own, new = browser(ann.email), {"new": "another-horse-battery", "again": "another-horse-battery"}
        most = LoginRules.load().pair_failures
        said = [text(own.post(reverse("portal:password"), {"old": f"guess {i}", **new})) for i in range(most)]
        assert all("not the old password" in one for one in said[:-1])
        assert "Too many wrong passwords; try again in" in said[-1]
        assert "Too many wrong passwords" in text(own.post(reverse("portal:password"), {"old": PASSWORD, **new}))
        assert the(ann.email).check_password(PASSWORD)
        assert login_protection.closed(ann.email, "127.0.0.1"), "and neither at the login itself"

    def test_the_consoles_own_page_for_it_is_the_same_one(self) -> None:
        answer = browser("root@example.org").get(reverse("admin:password_change"))
        assert (answer.status_code, answer["Location"]) == (302, reverse("portal:password"))

    def test_a_new_password_needs_the_old_one_and_ends_other_sessions(self) -> None:
        actions.add_user("zoe@example.org", PASSWORD)
        own, stolen = Client(), Client()
        for client in (own, stolen):
            client.post(reverse("portal:login"), {"username": "zoe@example.org", "password": PASSWORD})
        new = {"new": "another-horse-battery", "again": "another-horse-battery"}
        assert "not the old password" in text(own.post(reverse("portal:password"), {"old": "wrong", **new}))
        answer = own.post(reverse("portal:password"), {"old": PASSWORD, **new}, follow=True)
        assert "1 connection ended: 1 web." in text(answer)
        assert stolen.get(reverse("portal:home")).status_code == 302
        assert the("zoe@example.org").check_password("another-horse-battery")

    def test_limits_are_shown_with_where_they_come_from(self) -> None:
        Domain.objects.filter(name="example.org").update(max_recipients=50)
        User.objects.filter(email="ann@example.org").update(mailbox_mb=2000)
        shown = text(browser("ann@example.org").get(reverse("portal:home")))
        assert "<dt>Mailbox size (MB)</dt><dd>2,000</dd>" in shown
        assert "50 (domain default)" in shown


class TestMail:
    def test_only_the_own_mail_is_shown(self) -> None:
        sent_by("ann@example.org")
        sent_by("bob@example.org")
        assert text(browser("ann@example.org").get(reverse("portal:mail"))).count('name="name"') == 1

    def test_a_message_is_recalled_before_it_leaves(self) -> None:
        kept, recalled = sent_by("ann@example.org", 2)
        client = browser("ann@example.org")
        answer = client.post(reverse("portal:recall"), {"name": [recalled.file_name]}, follow=True)
        assert "1 recalled." in text(answer)
        assert list(Entry.objects.values_list("pk", flat=True)) == [kept.pk]
        assert Trashed.objects.filter(file_name=recalled.file_name).exists()

    def test_the_button_asks_before_anything_is_recalled(self) -> None:
        [entry] = sent_by("ann@example.org")
        client = browser("ann@example.org")
        assert 'name="ask" value="1"' in text(client.get(reverse("portal:mail")))
        asked = text(client.post(reverse("portal:recall"), {"name": [entry.file_name], "ask": "1"}))
        assert "1 message will not be delivered" in asked and entry.file_name in asked
        assert not Trashed.objects.exists()

    def test_nobody_recalls_the_mail_of_others(self) -> None:
        [entry] = sent_by("bob@example.org")
        for email in ("ann@example.org", "chief@example.org", "root@example.org"):
            answer = browser(email).post(reverse("portal:recall"), {"name": [entry.file_name]}, follow=True)
            assert "None of them is here any more" in text(answer)
        assert Entry.objects.filter(pk=entry.pk).exists()

    def test_a_subject_is_never_markup(self) -> None:
        sent_by("ann@example.org")
        Entry.objects.update(subject="<script>alert(1)</script>")
        shown = text(browser("ann@example.org").get(reverse("portal:mail")))
        assert "<script>alert" not in shown
        assert "&lt;script&gt;alert(1)" in shown


class TestDomain:
    def test_a_user_is_added_with_the_domains_defaults(self) -> None:
        client = browser("chief@example.org")
        DomainUserDefaults(domain=Domain.objects.get(name="example.org"), mailbox_mb=500).save()
        assert 'value="500"' in text(client.get(reverse("portal:add_users")))
        answer = client.post(reverse("portal:add_users"), user_fields(email="new", mailbox_mb=500), follow=True)
        assert "new@example.org is added." in text(answer)
        new = the("new@example.org")
        assert (new.mailbox_mb, new.domain.name if new.domain else "") == (500, "example.org")
        assert new.check_password(PASSWORD)

    @pytest.mark.parametrize(
        ("fields", "complaint"),
        [
            ({"email": "new@example.net"}, "has to be in example.org"),
            ({"email": "ann@example.org"}, "taken already"),
            ({"new_password": "short"}, "too short"),
            ({"role": "admin"}, "not one of the available choices"),
            ({"max_recipients": 60}, "may have 50 at most"),
            ({"forward_to": "nonsense"}, "nonsense"),
        ],
    )
    def test_what_can_t_be_is_refused_with_its_reason(self, fields: dict[str, object], complaint: str) -> None:
        Domain.objects.filter(name="example.org").update(max_recipients=50)
        before = User.objects.count()
        answer = browser("chief@example.org").post(reverse("portal:add_users"), user_fields(**fields))
        assert complaint in text(answer)
        assert User.objects.count() == before

    def test_a_domain_has_no_more_users_than_it_may(self) -> None:
        Domain.objects.filter(name="example.org").update(max_users=4)
        assert "all the 4 users" in text(browser("chief@example.org").post(reverse("portal:add_users"), user_fields()))

    def test_disabling_a_user_ends_the_session(self) -> None:
        ann, client = browser("ann@example.org"), browser("chief@example.org")
        path = reverse("portal:edit_users", args=[the("ann@example.org").pk])
        fields = user_fields(email="ann@example.org", new_password="", status="receiving")
        answer = client.post(path, fields, follow=True)
        assert "Disable and Allow Mail" in text(answer)
        assert ann.get(reverse("portal:home")).status_code == 302

    def test_others_domains_and_system_administrators_are_out_of_reach(self) -> None:
        client = browser("chief@example.org")
        for email in ("ann@example.net", "root@example.org"):
            for page in ("edit_users", "remove_users"):
                path = reverse(f"portal:{page}", args=[the(email).pk])
                assert client.post(path, user_fields(email=email)).status_code == 404
        alias = actions.add_alias("sales@example.net", ["x@y.test"])
        row = actions.add_list("news@example.net")
        for page, pk in (("edit_aliases", alias.pk), ("remove_aliases", alias.pk), ("edit_lists", row.pk)):
            assert client.post(reverse(f"portal:{page}", args=[pk])).status_code == 404
        assert "root@example.org" not in text(client.get(reverse("portal:users")))

    def test_an_administrator_can_t_be_without_the_own_role(self) -> None:
        client, chief = browser("chief@example.org"), the("chief@example.org")
        path = reverse("portal:edit_users", args=[chief.pk])
        client.post(path, user_fields(email=chief.email, new_password="", role="user", status="disabled"))
        chief.refresh_from_db()
        assert (chief.role, chief.status) == (Role.DOMAIN_ADMINISTRATOR, Status.ENABLED)
        client.post(reverse("portal:remove_users", args=[chief.pk]))
        assert User.objects.filter(pk=chief.pk).exists()

    def test_aliases_and_lists_are_kept_by_their_domain(self) -> None:
        client = browser("chief@example.org")
        client.post(reverse("portal:add_aliases"), {"address": "sales", "targets": "ann@example.org", "enabled": "on"})
        alias = Alias.objects.get(address="sales@example.org")
        client.post(
            reverse("portal:edit_aliases", args=[alias.pk]),
            {"address": "sales@example.org", "targets": "bob@example.org\nx@y.test", "enabled": "on"},
        )
        assert sorted(alias.targets.values_list("address", flat=True)) == ["bob@example.org", "x@y.test"]
        client.post(
            reverse("portal:add_lists"),
            {
                "address": "news",
                "posting": "anyone",
                "rewrite_from": "dmarc",
                "unsubscribe": "owner",
                "enabled": "on",
                "new_members": "a@b.test, c@d.test",
                **UNLIMITED,
            },
        )
        row = MailingList.objects.get(address="news@example.org")
        path = reverse("portal:edit_lists", args=[row.pk])
        fields = {
            "address": "news@example.org",
            "posting": "members",
            "rewrite_from": "dmarc",
            "unsubscribe": "owner",
            "enabled": "on",
            **UNLIMITED,
        }
        client.post(path, {**fields, "old_members": "a@b.test", "new_members": "e@f.test"})
        assert sorted(row.members.values_list("address", flat=True)) == ["c@d.test", "e@f.test"]
        assert "e@f.test" in text(client.get(path))
        client.post(reverse("portal:remove_lists", args=[row.pk]))
        assert not MailingList.objects.filter(pk=row.pk).exists()

    def test_the_owner_of_a_list_is_of_the_domain(self) -> None:
        answer = browser("chief@example.org").post(
            reverse("portal:add_lists"),
            {"address": "news", "posting": "anyone", "owner": the("ann@example.net").pk, "enabled": "on"},
        )
        assert "not one of the available choices" in text(answer)

    def test_of_many_users_the_owner_of_a_list_is_typed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forms, "MOST_CHOICES", 1)
        client, add = browser("chief@example.org"), reverse("portal:add_lists")
        given = {"address": "news", "posting": "anyone", "rewrite_from": "dmarc", "unsubscribe": "owner", **UNLIMITED}
        assert "No user of this domain" in text(client.post(add, {**given, "owner": "ann@example.net"}))
        client.post(add, {**given, "owner": " Ann@example.org"})
        row = MailingList.objects.get(address="news@example.org")
        assert row.owner == the("ann@example.org")
        page = reverse("portal:edit_lists", args=[row.pk])
        shown = text(client.get(page))
        assert 'value="ann@example.org"' in shown and "bob@example.org" not in shown
        # Left as it was shown, while another was given the list meanwhile; then both change it.
        MailingList.objects.filter(pk=row.pk).update(owner=the("bob@example.org"))
        given = {**given, "address": "news@example.org", "initial-owner": "ann@example.org"}
        client.post(page, {**given, "owner": "ann@example.org"})
        row.refresh_from_db()
        assert row.owner == the("bob@example.org")
        said = text(client.post(page, {**given, "owner": "chief@example.org"}))
        assert "from “ann@example.org” to “bob@example.org”" in said

    def test_defaults_are_propagated_within_the_domain_after_a_look(self) -> None:
        client, path = browser("chief@example.org"), reverse("portal:defaults")
        client.post(path, {"do": "save", "mailbox_mb": 700, "max_message_kb": 0, "max_recipients": 0, **UNLIMITED})
        assert the("ann@example.org").mailbox_mb == 0
        looked = text(client.post(path, {"do": "look", "field": "mailbox_mb"}))
        assert "3 of 3 users would change." in looked
        assert the("ann@example.org").mailbox_mb == 0
        assert "Choose at least one" in text(client.post(path, {"do": "look"}))
        done = client.post(path, {"do": "propagate", "field": "mailbox_mb"}, follow=True)
        assert "3 of 3 users changed." in text(done)
        assert the("ann@example.org").mailbox_mb == 700
        assert the("ann@example.net").mailbox_mb == 0
        assert the("root@example.org").mailbox_mb == 0


class TestActions:
    def test_the_page_of_a_user_offers_what_a_domain_administrator_may_do(self) -> None:
        client, ann = browser("chief@example.org"), the("ann@example.org")
        shown = text(client.get(reverse("portal:edit_users", args=[ann.pk])))
        for label in ("Change Password", "Drop Connections", "Disable User"):
            assert label in shown
        assert "Manage User" not in shown and "Contain" not in shown
        page = reverse("portal:act", args=["user", "receiving", ann.pk])
        assert "Enable User takes it back" in text(client.get(page))
        assert the("ann@example.org").status == Status.ENABLED
        assert "Disable and Allow Mail" in text(client.post(page, follow=True))
        assert the("ann@example.org").status == Status.RECEIVING
        assert "Enable User" in text(client.get(reverse("portal:edit_users", args=[ann.pk])))

    @pytest.mark.parametrize(
        ("kind", "name"), [("user", "manage"), ("user", "release-login"), ("user", "nonsense"), ("ip", "blacklist")]
    )
    def test_what_is_not_theirs_is_not_there(self, kind: str, name: str) -> None:
        ann = the("ann@example.org")
        page = reverse("portal:act", args=[kind, name, ann.pk])
        client = browser("chief@example.org")
        assert client.get(page).status_code == client.post(page).status_code == 404

    def test_users_of_other_domains_are_not_there_either(self) -> None:
        page = reverse("portal:act", args=["user", "receiving", the("ann@example.net").pk])
        assert browser("chief@example.org").post(page).status_code == 404
        assert the("ann@example.net").status == Status.ENABLED


class TestSenders:
    def test_the_search_shows_the_own_domain_alone(self) -> None:
        sent_by("ann@example.org")
        sent_by("bob@example.org")
        sent_by("ann@example.net")
        client, path = browser("chief@example.org"), reverse("portal:senders")
        shown = text(client.get(path))
        assert shown.count('class="cells"') == 2
        assert "ann@example.net" not in shown
        assert text(client.get(path, {"sender": "ann"})).count('class="cells"') == 1
        assert text(client.get(path, {"sender": "ann@example.net"})).count('class="cells"') == 0
        assert text(client.get(path, {"sender": "*"})).count('class="cells"') == 2

    def test_the_search_by_user_finds_what_was_sent_from_any_address_of_theirs(self) -> None:
        [entry] = sent_by("ann@example.org")
        Entry.objects.filter(pk=entry.pk).update(sender="sales@example.org")
        sent_by("bob@example.org")
        client, path = browser("chief@example.org"), reverse("portal:senders")
        for user in ("ann", "ann@example.org"):
            shown = text(client.get(path, {"auth-user": user}))
            assert shown.count('class="cells"') == 1
            assert "sales@example.org" in shown
        sent_by("ann@example.net")
        assert text(client.get(path, {"auth-user": "ann@example.net"})).count('class="cells"') == 0

    def test_other_conditions_are_passed_over_and_wrong_ones_explained(self) -> None:
        sent_by("ann@example.org")
        client, path = browser("chief@example.org"), reverse("portal:senders")
        assert text(client.get(path, {"recipient": "nobody@nowhere.test"})).count('class="cells"') == 1
        assert "ms-error" in text(client.get(path, {"older": "a while"}))


class TestImpersonation:
    @pytest.fixture
    def root(self) -> Client:
        return browser("root@example.org")

    def take(self, client: Client, email: str) -> Any:
        return client.post(reverse("hijack:acquire"), {"user_pk": the(email).pk}, follow=True)

    def test_an_administrator_takes_a_users_place_and_goes_back(self, root: Client) -> None:
        shown = text(self.take(root, "chief@example.org"))
        assert "Signed in as chief@example.org (impersonating; you are root@example.org)" in shown
        assert "Search by sender" in shown
        assert root.get("/admin/accounts/user/").status_code == 302
        back = root.post(reverse("hijack:release"), follow=True)
        assert back.status_code == 200
        assert root.get("/admin/accounts/user/").status_code == 200
        written = list(AuditEvent.objects.filter(source="page").order_by("id").values_list("actor", "action", "on"))
        assert written == [("root@example.org", "manage user", "chief@example.org")] * 2

    def test_what_is_done_in_a_users_place_names_both(self, root: Client) -> None:
        self.take(root, "ann@example.org")
        root.post(reverse("portal:settings"), {"name": "Ann"})
        assert AuditEvent.objects.filter(actor="root@example.org as ann@example.org", action="change user").exists()

    def test_a_disabled_account_can_be_looked_at(self, root: Client) -> None:
        User.objects.filter(email="ann@example.org").update(status=Status.DISABLED)
        assert "Signed in as ann@example.org (impersonating" in text(self.take(root, "ann@example.org"))
        assert "Disabled" in text(root.get(reverse("portal:home")))

    def test_the_users_password_can_be_changed_without_the_old_one_and_the_place_is_kept(self, root: Client) -> None:
        self.take(root, "ann@example.org")
        new = {"new": "another-horse-battery", "again": "another-horse-battery"}
        assert "The password of ann@example.org is changed" in text(
            root.post(reverse("portal:password"), new, follow=True)
        )
        assert root.post(reverse("hijack:release"), follow=True).status_code == 200
        assert root.get("/admin/").status_code in (200, 302)

    @pytest.mark.parametrize("email", ["ann@example.org", "chief@example.org"])
    def test_nobody_else_takes_a_place(self, email: str) -> None:
        client = browser(email)
        assert client.post(reverse("hijack:acquire"), {"user_pk": the("bob@example.org").pk}).status_code == 403
        assert client.post(reverse("hijack:release")).status_code == 403
        assert client.session.get("_auth_user_id") == str(the(email).pk)

    def test_a_system_administrators_place_is_not_to_be_had(self, root: Client) -> None:
        second = a_user("second@localhost", role=Role.SYSTEM_ADMINISTRATOR)
        assert root.post(reverse("hijack:acquire"), {"user_pk": second.pk}).status_code == 403
        assert root.post(reverse("hijack:acquire"), {"user_pk": "x"}).status_code == 400
        assert root.get(reverse("hijack:acquire")).status_code in (400, 405)

    def test_an_administrator_who_was_disabled_meanwhile_is_nobody(self, root: Client) -> None:
        self.take(root, "ann@example.org")
        User.objects.filter(email="root@example.org").update(status=Status.DISABLED)
        root.post(reverse("hijack:release"))
        assert root.get("/admin/").status_code == 302
        assert root.get(reverse("portal:home")).status_code == 302

    def test_an_administrator_who_is_none_any_more_is_out_of_the_users_place_at_once(self, root: Client) -> None:
        self.take(root, "ann@example.org")
        User.objects.filter(email="root@example.org").update(role=Role.USER)
        post = {"name": "Taken over"}
        assert root.post(reverse("portal:settings"), post).status_code == 302
        assert the("ann@example.org").name == "", "not one request more"
        assert reverse("portal:login") in root.get(reverse("portal:home"))["Location"]
        assert sum("may no longer" in event.outcome for event in AuditEvent.objects.filter(on="ann@example.org")) == 1

    def test_a_user_who_became_an_administrator_is_nobodys_place_any_more(self, root: Client) -> None:
        self.take(root, "ann@example.org")
        User.objects.filter(email="ann@example.org").update(role=Role.SYSTEM_ADMINISTRATOR)
        assert root.get(reverse("admin:accounts_user_changelist")).status_code == 302

    def test_taking_the_administrators_role_away_ends_their_sessions_in_others_places(self, root: Client) -> None:
        self.take(root, "ann@example.org")
        assert WebSession.objects.filter(impersonator__email="root@example.org").exists()
        actions.change(the("root@example.org"), role=Role.USER)
        assert not WebSession.objects.filter(impersonator__email="root@example.org").exists()

    def test_ending_the_administrators_sessions_ends_the_one_in_a_users_place(self, root: Client) -> None:
        from accounts import connections
        from accounts.actor import Actor

        self.take(root, "ann@example.org")
        assert connections.drop(Actor.system(), user="ann@example.org").web == 0
        assert connections.drop(Actor.system(), user="root@example.org").web == 1
        assert WebSession.objects.count() == 0
