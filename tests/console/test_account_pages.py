"""The accounts' pages: what they show, refuse and cost."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from accounts import actions, login_history
from accounts.models import (
    Alias,
    AliasTarget,
    Domain,
    DomainDefaults,
    ListMember,
    MailingList,
    Role,
    Status,
    User,
    UserDefaults,
)
from mailspool.attention import items as attention
from tests.support.forms import UNLIMITED

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis")]
PASSWORD = "correct-horse-battery"


def a_user(email: str, **fields: Any) -> User:
    user = User(email=email, domain=Domain.objects.filter(name=email.rpartition("@")[2]).first(), **fields)
    user.set_unusable_password()
    user.save()
    return user


@pytest.fixture
def domain() -> Domain:
    return actions.add_domain("example.org")


@pytest.fixture
def root(domain: Domain) -> User:
    return a_user("root@example.org", role=Role.SYSTEM_ADMINISTRATOR)


@pytest.fixture
def administrator(client: Client, root: User) -> Client:
    client.force_login(root)
    return client


def url(model: str, page: str, *args: object) -> str:
    return reverse(f"admin:accounts_{model}_{page}", args=args)


def user_fields(**fields: object) -> dict[str, object]:
    return {
        "email": "ann@example.org",
        "name": "",
        "new_password": PASSWORD,
        "role": "user",
        "status": "enabled",
        "forward_to": "",
        "mailbox_mb": 0,
        "max_message_kb": 0,
        "max_recipients": 0,
        **UNLIMITED,
        **fields,
    }


class TestLists:
    @pytest.mark.parametrize("model", ["domain", "user", "alias", "mailinglist", "listmember"])
    def test_the_number_of_queries_does_not_grow_with_the_list(
        self,
        administrator: Client,
        domain: Domain,
        django_assert_max_num_queries: Any,
        monkeypatch: pytest.MonkeyPatch,
        model: str,
    ) -> None:
        for n in range(30):
            Domain.objects.create(name=f"domain{n}.example")
            user = a_user(f"user{n}@example.org")
            alias = Alias.objects.create(address=f"alias{n}@example.org", domain=domain)
            AliasTarget.objects.create(alias=alias, address="x@example.net")
            row = MailingList.objects.create(address=f"list{n}@example.org", domain=domain, owner=user)
            ListMember.objects.create(mailing_list=row, address="m@example.net")
        # What a process asks at its first page, and what all pages keep for seconds, is no part of the list.
        administrator.get(url(model, "changelist"))
        kept = attention.current()
        monkeypatch.setattr(attention, "current", lambda: kept)
        with django_assert_max_num_queries(9):
            page = administrator.get(url(model, "changelist")).content.decode()
        assert page.count('name="_selected_action"') >= 30

    @pytest.mark.parametrize(
        ("model", "sentence"),
        [
            ("alias", "An alias is another address for one or more people"),
            ("mailinglist", "What is written to a list goes to each of its members"),
        ],
    )
    def test_an_empty_list_says_what_would_be_in_it_and_how_to_make_it(
        self, administrator: Client, model: str, sentence: str
    ) -> None:
        page = administrator.get(url(model, "changelist")).content.decode()
        assert sentence in page
        assert url(model, "add") in page
        searched = administrator.get(url(model, "changelist"), {"q": "zzz"}).content.decode()
        assert "Nothing matches" in searched and sentence not in searched

    def test_the_last_login_of_a_user_may_be_one_by_smtp(self, administrator: Client, root: User) -> None:
        pending = login_history.Pending()
        pending.note(root.pk, "SMTP", "192.0.2.1", datetime(2099, 5, 1, 12, 0, tzinfo=UTC))
        login_history.write(pending.take())
        for order in ("", "?o=5", "?o=-5"):
            page = administrator.get(f"/admin/accounts/user/{order}").content.decode()
            assert re.search(r'title="2099-05-01 12:00:00 UTC" data-relative>in [^<]+</time>, SMTP', page)

    def test_many_are_disabled_at_once_but_never_oneself(self, administrator: Client, root: User) -> None:
        users = [a_user(f"user{n}@example.org") for n in range(3)]
        chosen = [user.pk for user in [*users, root]]
        answer = administrator.post(
            url("user", "changelist"), {"action": "disable", "_selected_action": chosen}, follow=True
        )
        page = answer.content.decode()
        assert "3 changed to: Disabled." in page and "nobody can lock themselves out" in page
        assert set(User.objects.exclude(pk=root.pk).values_list("status", flat=True)) == {Status.DISABLED}
        root.refresh_from_db()
        assert root.status == Status.ENABLED
        assert LogEntry.objects.filter(change_message="Status: Disabled").count() == 3

    def test_the_own_domain_is_not_disabled(self, administrator: Client, domain: Domain) -> None:
        answer = administrator.post(
            url("domain", "changelist"), {"action": "disable", "_selected_action": [domain.pk]}, follow=True
        )
        assert "would lock you out" in answer.content.decode()
        domain.refresh_from_db()
        assert domain.status == Status.ENABLED


class TestUserPage:
    def test_making_a_system_administrator_asks_first(self, administrator: Client, domain: Domain) -> None:
        user = a_user("ann@example.org")
        fields = user_fields(email=user.email, new_password="", role="admin")
        refused = administrator.post(url("user", "change", user.pk), fields)
        assert "Tick this to agree" in refused.content.decode()
        user.refresh_from_db()
        assert user.role == Role.USER
        assert administrator.post(url("user", "change", user.pk), {**fields, "is_agreed": "on"}).status_code == 302
        user.refresh_from_db()
        assert user.role == Role.SYSTEM_ADMINISTRATOR
        # Who is one already need not be made one again.
        assert administrator.post(url("user", "change", user.pk), {**fields, "name": "Ann"}).status_code == 302

    def test_each_row_of_the_list_has_the_menu_of_the_user(self, administrator: Client, domain: Domain) -> None:
        user = a_user("ann@example.org")
        page = administrator.get(url("user", "changelist")).content.decode()
        link = f"{reverse('thing_menu', args=['user'])}?key=ann%40example.org"
        assert f'data-menu="{link}"' in page and 'id="row-menu"' in page and 'id="confirm"' in page
        menu = administrator.get(link).content.decode()
        for label in ("Manage User", "Contain account…", "Change Password", "Drop Connections", "Disable User"):
            assert label in menu
        for label in ("Delete Messages", "Move Messages"):
            assert label in menu
        assert str(user.pk) in menu

    def test_the_address_says_in_which_domain_a_user_is(self, administrator: Client, domain: Domain) -> None:
        assert administrator.post(url("user", "add"), user_fields(email="Ann@Example.org")).status_code == 302
        user = User.objects.get(email="ann@example.org")
        assert user.domain == domain
        assert user.check_password(PASSWORD) and user.password.startswith("argon2$argon2id$")

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"email": "bob@example.net"}, "There is no domain example.net; add it first."),
            ({"email": "root@example.org"}, "root@example.org is taken already, by a user."),
            ({"email": "sales@example.org"}, "sales@example.org is taken already, by an alias."),
            ({"email": "bob"}, "needs a local part and a domain"),
            ({"email": ""}, "This field is required"),
            ({"new_password": "short"}, "too short"),
            ({"new_password": "password123"}, "too common"),
            ({"new_password": ""}, "A new user needs a password."),
            ({"forward_to": "nobody"}, "needs a local part and a domain"),
            ({"forward_to": "ann@example.org"}, "forward to the own address"),
            ({"mailbox_mb": "-1"}, "greater than or equal to 0"),
        ],
    )
    def test_what_can_not_be_is_answered_with_a_sentence(
        self, administrator: Client, fields: dict[str, str], sentence: str
    ) -> None:
        actions.add_alias("sales@example.org", ["root@example.org"])
        answer = administrator.post(url("user", "add"), user_fields(**fields))
        assert answer.status_code == 200
        assert sentence in answer.content.decode()
        assert User.objects.count() == 1

    def test_a_full_domain_takes_no_more(self, administrator: Client, domain: Domain) -> None:
        actions.change(domain, max_users=1)
        answer = administrator.post(url("user", "add"), user_fields())
        assert "has the one user that it may have" in answer.content.decode()

    @pytest.mark.parametrize(("field", "value"), [("role", "user"), ("status", "disabled")])
    def test_nobody_locks_themselves_out(self, administrator: Client, root: User, field: str, value: str) -> None:
        fields = user_fields(**{"email": root.email, "new_password": "", "role": "admin", field: value})
        answer = administrator.post(url("user", "change", root.pk), fields)
        assert answer.status_code == 200
        assert "yourself" in answer.content.decode()
        assert administrator.post(url("user", "delete", root.pk), {"post": "yes"}).status_code == 403

    def test_a_new_password_is_optional_and_the_old_one_is_never_shown(self, administrator: Client) -> None:
        user = actions.add_user("ann@example.org", PASSWORD)
        page = administrator.get(url("user", "change", user.pk)).content.decode()
        assert "argon2" not in page
        administrator.post(url("user", "change", user.pk), user_fields(new_password="", name="Ann"))
        user.refresh_from_db()
        assert (user.name, user.check_password(PASSWORD)) == ("Ann", True)


class TestDefaults:
    def test_new_ones_start_from_them_on_the_page(self, administrator: Client) -> None:
        actions.change_defaults(UserDefaults.load(), mailbox_mb=321)
        actions.change_defaults(DomainDefaults.load(), max_users=123)
        assert 'value="321"' in administrator.get(url("user", "add")).content.decode()
        assert 'value="123"' in administrator.get(url("domain", "add")).content.decode()

    def test_propagating_shows_what_would_change_before_it_does(self, administrator: Client, root: User) -> None:
        actions.change_defaults(UserDefaults.load(), mailbox_mb=100, max_recipients=9)
        page = url("userdefaults", "propagate")
        assert "mailbox size (MB): 100" in administrator.get(page).content.decode()
        wanted = {"fields_chosen": ["mailbox_mb"], "scope": "all", "names": ""}
        shown = administrator.post(page, wanted).content.decode()
        assert "1 of 1 would change" in shown and root.email in shown
        assert User.objects.get().mailbox_mb == 0
        answer = administrator.post(page, {**wanted, "confirmed": "yes"}, follow=True)
        assert "1 of 1 changed." in answer.content.decode()
        user = User.objects.get()
        assert (user.mailbox_mb, user.max_recipients) == (100, 0)
        assert "Propagated mailbox size (MB) 100 to all: 1 changed" in LogEntry.objects.latest("pk").change_message
        assert "Nothing to do" in administrator.post(page, wanted).content.decode()

    def test_it_can_be_for_some_only(self, administrator: Client) -> None:
        actions.add_domain("other.example")
        actions.change_defaults(DomainDefaults.load(), max_users=5)
        wanted = {"fields_chosen": ["max_users"], "scope": "some", "names": "other.example", "confirmed": "yes"}
        administrator.post(url("domaindefaults", "propagate"), wanted)
        assert dict(Domain.objects.values_list("name", "max_users")) == {"example.org": 0, "other.example": 5}

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"scope": "all"}, "Choose at least one."),
            ({"scope": "some", "fields_chosen": ["max_users"]}, "Name at least one, or choose all."),
            ({"scope": "some", "fields_chosen": ["max_users"], "names": "x.example"}, "There is no domain x.example"),
        ],
    )
    def test_a_wrong_choice_is_answered_with_a_sentence(
        self, administrator: Client, fields: dict[str, Any], sentence: str
    ) -> None:
        page = administrator.post(url("domaindefaults", "propagate"), {**fields, "confirmed": "yes"})
        assert sentence in page.content.decode()

    def test_a_get_changes_nothing_and_others_do_not_get_in(self, client: Client, domain: Domain) -> None:
        client.force_login(a_user("ann@example.org", role=Role.DOMAIN_ADMINISTRATOR))
        assert client.get(url("userdefaults", "propagate")).status_code == 302


class TestAliasPage:
    def test_targets_are_lines(self, administrator: Client) -> None:
        fields = {
            "address": "Sales@example.org",
            "targets": "Root@example.org\nx@example.net, y@example.net",
            "enabled": "on",
        }
        assert administrator.post(url("alias", "add"), fields).status_code == 302
        alias = Alias.objects.get()
        assert alias.address == "sales@example.org"
        assert set(alias.targets.values_list("address", flat=True)) == {
            "root@example.org",
            "x@example.net",
            "y@example.net",
        }
        page = administrator.get(url("alias", "change", alias.pk)).content.decode()
        assert "x@example.net\ny@example.net" in page
        administrator.post(url("alias", "change", alias.pk), {**fields, "targets": "z@example.net"})
        assert [target.address for target in alias.targets.all()] == ["z@example.net"]

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"targets": ""}, "This field is required"),
            ({"targets": "x@example.net\nnobody"}, "needs a local part and a domain"),
            ({"targets": "sales@example.org"}, "stand for itself"),
            ({"address": "root@example.org"}, "taken already, by a user"),
            ({"address": "sales@example.net"}, "There is no domain example.net"),
        ],
    )
    def test_what_can_not_be_is_answered_with_a_sentence(
        self, administrator: Client, fields: dict[str, str], sentence: str
    ) -> None:
        wanted = {"address": "sales@example.org", "targets": "x@example.net", **fields}
        assert sentence in administrator.post(url("alias", "add"), wanted).content.decode()
        assert not Alias.objects.exists()


class TestListPage:
    MANAGEMENT = {"members-TOTAL_FORMS": "0", "members-INITIAL_FORMS": "0", **UNLIMITED}

    @pytest.fixture
    def big(self, domain: Domain) -> MailingList:
        row = MailingList.objects.create(address="news@example.org", domain=domain)
        ListMember.objects.bulk_create(
            ListMember(mailing_list=row, address=f"m{n:04}@example.net") for n in range(5000)
        )
        return row

    def test_five_thousand_members_are_shown_a_page_at_a_time(
        self, administrator: Client, big: MailingList, django_assert_max_num_queries: Any
    ) -> None:
        with django_assert_max_num_queries(12):
            page = administrator.get(url("mailinglist", "change", big.pk)).content.decode()
        assert "m0049@example.net" in page and "m0050@example.net" not in page
        assert len(page) < 600_000
        second = administrator.get(url("mailinglist", "change", big.pk), {"members-page": 2}).content.decode()
        assert "m0050@example.net" in second

    def test_a_member_on_the_second_page_can_be_switched_off(self, administrator: Client, big: MailingList) -> None:
        address = f"{url('mailinglist', 'change', big.pk)}?members-page=2"
        members = list(big.members.order_by("address")[50:100])
        fields: dict[str, object] = {
            "address": big.address,
            "posting": "anyone",
            "rewrite_from": "dmarc",
            "unsubscribe": "owner",
            "enabled": "on",
            **UNLIMITED,
            "members-TOTAL_FORMS": "50",
            "members-INITIAL_FORMS": "50",
            "members-page": "2",
        }
        for n, member in enumerate(members):
            fields |= {
                f"members-{n}-id": member.pk,
                f"members-{n}-mailing_list": big.pk,
                f"members-{n}-address": member.address,
            }
            if n:
                fields[f"members-{n}-enabled"] = "on"
        answer = administrator.post(address, fields)
        assert answer.status_code == 302, answer.context["errors"]
        assert [m.address for m in big.members.filter(enabled=False)] == ["m0050@example.net"]

    def test_many_are_added_by_a_box_and_found_by_a_search(
        self, administrator: Client, big: MailingList, django_assert_max_num_queries: Any
    ) -> None:
        text = "\n".join(f"new{n}@example.net" for n in range(3000)) + "\nM0001@example.net"
        fields = {
            "address": big.address,
            "posting": "anyone",
            "rewrite_from": "dmarc",
            "unsubscribe": "owner",
            "enabled": "on",
            "new_members": text,
            **self.MANAGEMENT,
        }
        with django_assert_max_num_queries(40):
            answer = administrator.post(url("mailinglist", "change", big.pk), fields)
        assert answer.status_code == 302
        assert big.members.count() == 8000
        found = administrator.get(
            url("listmember", "changelist"), {"mailing_list__id__exact": big.pk, "q": "new2999"}
        ).content.decode()
        assert "new2999@example.net" in found and "new2998@example.net" not in found

    def test_a_wrong_address_in_the_box_is_named_and_nobody_is_added(
        self, administrator: Client, big: MailingList
    ) -> None:
        fields = {
            "address": big.address,
            "posting": "anyone",
            "rewrite_from": "dmarc",
            "unsubscribe": "owner",
            "new_members": "a@example.net\nwrong",
            **self.MANAGEMENT,
        }
        page = administrator.post(url("mailinglist", "change", big.pk), fields).content.decode()
        assert "wrong" in page and "needs a local part and a domain" in page
        assert big.members.count() == 5000


def test_the_pages_of_jobs_have_their_own_styles_and_no_other_page_has(administrator: Client) -> None:
    assert "mailspool/jobs.css" in administrator.get("/admin/jobs/").content.decode()
    assert "mailspool/jobs.css" not in administrator.get(url("user", "changelist")).content.decode()
