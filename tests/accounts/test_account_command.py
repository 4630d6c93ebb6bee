"""`manage.py account` and `firstadmin`: what they do, what they answer, and how they end."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions, first_password, login_history
from accounts.models import Alias, Domain, MailingList, Role, Status, User, UserDefaults
from tests.support.commands import Manage, manage_with
from tests.support.forms import UNLIMITED

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alike]
PASSWORD = "correct-horse-battery"


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "accounts")


@pytest.fixture
def domain(manage: Manage) -> Domain:
    return actions.add_domain("example.org")


@pytest.fixture
def ann(domain: Domain) -> User:
    user = User(email="ann@example.org", domain=domain)
    user.set_unusable_password()
    user.save()
    return user


class TestDomain:
    def test_a_life(self, manage: Manage) -> None:
        added = manage("account", "domain", "add", "Example.ORG", "--catch-all", "All@example.net", "--json")
        assert added.status == 0
        assert added.json[0]["domain"] == "example.org"
        assert added.json[0]["catch_all"] == "all@example.net"
        assert manage("account", "domain", "set", "example.org", "--max-users", "5", "--catch-all", "").status == 0
        shown = manage("account", "--json", "domain", "show", "example.org").json[0]
        assert (shown["max_users"], shown["catch_all"], shown["users"]) == (5, "", 0)
        for verb, status in (("receiving", "receiving"), ("disable", "disabled"), ("enable", "enabled")):
            assert manage("account", "domain", verb, "example.org").status == 0
            assert Domain.objects.get().status == status
        assert "example.org" in manage("account", "domain", "list").out
        assert manage("account", "domain", "remove", "example.org").status == 0
        gone = manage("account", "domain", "list")
        assert (gone.status, gone.err.strip()) == (1, "There are none.")

    def test_one_with_something_in_it_is_not_removed(self, manage: Manage, ann: User) -> None:
        refused = manage("account", "domain", "remove", "example.org")
        assert (refused.status, refused.err.strip()) == (1, "example.org still has 1 users: remove them first.")

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["add", "example.org"], "Domain with this Name already exists"),
            (["add", "exa mple.org"], "is not a valid domain name"),
            (["add", "x-.org"], "is not a valid domain name"),
            (["add", "[127.0.0.1]"], "address literal can't be a local domain"),
            (["add", "new.example", "--catch-all", "nobody"], "catch_all: 'nobody' needs a local part and a domain"),
            (["add", "new.example", "--max-message-kb", "9000000"], "max_message_kb: Ensure this value is less"),
            (["show", "new.example"], "There is no domain new.example"),
            (["set", "example.org", "--max-users", "-1"], "max_users: Ensure this value is greater"),
        ],
    )
    def test_what_can_not_be_is_refused_with_a_sentence(
        self, manage: Manage, domain: Domain, arguments: list[str], sentence: str
    ) -> None:
        refused = manage("account", "domain", *arguments)
        assert refused.status == 1
        assert sentence in refused.err
        assert Domain.objects.count() == 1


class TestUser:
    def test_a_life(self, manage: Manage, domain: Domain) -> None:
        added = manage(
            "account",
            "user",
            "add",
            "Ann@Example.org",
            "--password",
            PASSWORD,
            "--name",
            "Ann",
            "--domain-admin",
            "--forward-to",
            "ann@example.net",
            "--forward-to",
            "ann@example.com",
            "--no-keep-copy",
            "--mailbox-mb",
            "9",
            "--json",
        )
        assert added.status == 0, added.err
        user = User.objects.get()
        assert (user.email, user.role, user.domain) == ("ann@example.org", Role.DOMAIN_ADMINISTRATOR, domain)
        assert user.forward_addresses == ["ann@example.net", "ann@example.com"]
        assert (user.forward_keeps_copy, user.mailbox_mb) == (False, 9)
        assert user.password.startswith("argon2$argon2id$")
        assert "password" not in added.json[0] and "argon2" not in added.out
        assert manage("account", "user", "set", user.email, "--plain", "--no-forward", "--name", "A").status == 0
        shown = manage("account", "user", "show", user.email, "--json").json[0]
        assert (shown["role"], shown["forward_to"], shown["name"]) == ("user", [], "A")
        assert manage("account", "user", "password", user.email, stdin="another-long-secret\n").status == 0
        assert User.objects.get().check_password("another-long-secret")
        assert manage("account", "user", "receiving", user.email).status == 0
        assert User.objects.get().status == Status.RECEIVING
        assert manage("account", "user", "remove", user.email).status == 0
        assert manage("account", "user", "list").status == 1

    def test_a_new_one_starts_from_the_defaults_where_nothing_is_said(self, manage: Manage, domain: Domain) -> None:
        changed = manage("account", "user", "defaults", "set", "--mailbox-mb", "50", "--max-recipients", "7")
        assert changed.status == 0
        manage("account", "user", "add", "ann@example.org", "--max-recipients", "0", stdin=f"{PASSWORD}\n")
        user = User.objects.get()
        assert (user.mailbox_mb, user.max_recipients) == (50, 0)
        assert user.check_password(PASSWORD)

    def test_limits_by_the_hour_are_set_given_to_new_ones_and_propagated(self, manage: Manage, ann: User) -> None:
        limits = ["--messages-per-hour", "100", "--messages-action", "reject", "--bandwidth-per-hour", "50"]
        assert manage("account", "user", "defaults", "set", *limits).status == 0
        manage("account", "user", "add", "bob@example.org", stdin=f"{PASSWORD}\n")
        bob = manage("account", "user", "show", "bob@example.org", "--json").json[0]
        wanted = {"messages_per_hour": 100, "messages_action": "reject", "bandwidth_mb_per_hour": 50}
        assert {name: bob[name] for name in wanted} == wanted
        given = manage("account", "user", "defaults", "propagate", "--field", "messages_per_hour", "--all", "--yes")
        assert given.status == 0
        ann.refresh_from_db()
        assert (ann.messages_per_hour, ann.messages_action) == (100, "delay")

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["add", "bob@example.net", "--password", PASSWORD], "There is no domain example.net; add it first."),
            (["add", "ANN@example.org", "--password", PASSWORD], "ann@example.org is taken already, by a user."),
            (["add", "sales@example.org", "--password", PASSWORD], "taken already, by an alias."),
            (["add", "bob", "--password", PASSWORD], "'bob' needs a local part and a domain"),
            (["add", "bo b@example.org", "--password", PASSWORD], "has a character that needs quotes"),
            (["add", "bob@example.org", "--password", "short"], "too short"),
            (["add", "bob@example.org", "--password", "password123"], "too common"),
            (["add", "bobbytables@example.org", "--password", "bobbytables1"], "too similar to the e-mail address"),
            (["add", "bob@example.org", "--password", ""], "too short"),
            (["add", "bob@example.org", "--password", PASSWORD, "--forward-to", "x"], "forward_to: 'x' needs a local"),
            (["set", "ann@example.org", "--forward-to", "Ann@example.org"], "can't forward to the own address"),
            (["show", "bob@example.org"], "There is no user bob@example.org."),
            (["password", "ann@example.org", "--password", "12345678"], "too common"),
        ],
    )
    def test_what_can_not_be_is_refused_with_a_sentence(
        self, manage: Manage, ann: User, arguments: list[str], sentence: str
    ) -> None:
        actions.add_alias("sales@example.org", ["ann@example.org"])
        refused = manage("account", "user", *arguments)
        assert refused.status == 1
        assert sentence in refused.err
        assert User.objects.count() == 1

    def test_a_full_domain_takes_no_more(self, manage: Manage, ann: User) -> None:
        manage("account", "domain", "set", "example.org", "--max-users", "1")
        refused = manage("account", "user", "add", "bob@example.org", "--password", PASSWORD)
        assert (refused.status, refused.err.strip()) == (1, "example.org has the one user that it may have.")

    def test_the_list_can_be_of_one_domain(self, manage: Manage, ann: User) -> None:
        actions.add_domain("other.example")
        assert manage("account", "user", "list", "--domain", "other.example").status == 1
        assert [row["user"] for row in manage("account", "user", "list", "--domain", "example.org", "--json").json] == [
            "ann@example.org"
        ]


class TestAlias:
    def test_a_life(self, manage: Manage, ann: User) -> None:
        added = manage(
            "account", "alias", "add", "Sales@example.org", "--to", "ann@example.org", "--to", "z@example.net"
        )
        assert added.status == 0
        assert manage("account", "alias", "disable", "sales@example.org").status == 0
        assert not Alias.objects.get().enabled
        assert manage("account", "alias", "enable", "sales@example.org").status == 0
        changed = manage("account", "alias", "set", "sales@example.org", "--to", "q@example.net", "--json")
        assert changed.json[0] == {
            "alias": "sales@example.org",
            "enabled": True,
            "to": ["q@example.net"],
            "description": "",
        }
        assert manage("account", "alias", "remove", "sales@example.org").status == 0

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["add", "a@example.org", "--to", "nobody"], "'nobody' needs a local part"),
            (["add", "a@example.org", "--to", "A@example.org"], "a@example.org can't stand for itself."),
            (["add", "ann@example.org", "--to", "b@example.net"], "taken already, by a user."),
            (["add", "a@example.net", "--to", "b@example.net"], "There is no domain example.net"),
            (["remove", "a@example.org"], "There is no alias a@example.org."),
        ],
    )
    def test_what_can_not_be_is_refused_with_a_sentence(
        self, manage: Manage, ann: User, arguments: list[str], sentence: str
    ) -> None:
        refused = manage("account", "alias", *arguments)
        assert refused.status == 1
        assert sentence in refused.err
        assert not Alias.objects.exists()


class TestList:
    def test_a_life(self, manage: Manage, ann: User) -> None:
        added = manage("account", "list", "add", "news@example.org", "--member", "a@example.net", "--owner", ann.email)
        assert added.status == 0
        assert (
            manage("account", "list", "member", "add", "news@example.org", "A@example.net", "b@example.net").status == 0
        )
        many = "".join(f"m{n}@example.net\n" for n in range(3000))
        assert manage("account", "list", "member", "add", "news@example.org", "--json", stdin=many).json == [
            {"list": "news@example.org", "added": 3000}
        ]
        members = manage("account", "list", "member", "list", "news@example.org", "--json").json
        assert len(members) == 3002
        assert manage("account", "list", "member", "remove", "news@example.org", stdin=many).status == 0
        changed = manage(
            "account",
            "list",
            "set",
            "news@example.org",
            "--posting",
            "members",
            "--subject-prefix",
            "[news]",
            "--owner",
            "",
            "--json",
        )
        assert changed.json[0] == {
            "list": "news@example.org",
            "enabled": True,
            "owner": "",
            "posting": "members",
            "members": 2,
            "subject_prefix": "[news]",
            "rewrite_from": "dmarc",
            "unsubscribe": "owner",
            "description": "",
            **UNLIMITED,
        }
        assert manage("account", "list", "disable", "news@example.org").status == 0
        assert "news@example.org" in manage("account", "list", "list").out
        assert manage("account", "list", "remove", "news@example.org").status == 0
        assert not MailingList.objects.exists()

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["add", "new@example.org", "--owner", "zoe@example.org"], "There is no user zoe@example.org."),
            (["add", "new@example.org", "--member", "x"], "'x' needs a local part"),
            (["add", "ann@example.org"], "taken already, by a user."),
            (["member", "add", "news@example.org", "a@example.net"], "each of them is on it already"),
            (["member", "remove", "news@example.org", "z@example.net"], "none of them is on it"),
            (["member", "add", "new@example.org", "a@example.net"], "There is no mailing list new@example.org."),
        ],
    )
    def test_what_can_not_be_is_refused_with_a_sentence(
        self, manage: Manage, ann: User, arguments: list[str], sentence: str
    ) -> None:
        actions.add_list("news@example.org", ["a@example.net"])
        refused = manage("account", "list", *arguments)
        assert refused.status == 1
        assert sentence in refused.err
        assert MailingList.objects.count() == 1


class TestDefaults:
    @pytest.fixture
    def users(self, ann: User) -> list[User]:
        other = actions.add_domain("other.example")
        User.objects.bulk_create(User(email=f"u{n}@other.example", domain=other, password="!") for n in range(3))
        actions.change_defaults(UserDefaults.load(), mailbox_mb=100, max_recipients=5)
        return list(User.objects.all())

    def test_propagating_changes_only_the_chosen_fields(self, manage: Manage, users: list[User]) -> None:
        done = manage("account", "user", "defaults", "propagate", "--field", "mailbox_mb", "--all", "--yes", "--json")
        assert (done.status, done.json) == (0, [{"chosen": 4, "changed": 4}])
        assert {(user.mailbox_mb, user.max_recipients) for user in User.objects.all()} == {(100, 0)}
        again = manage("account", "user", "defaults", "propagate", "--field", "mailbox_mb", "--all", "--yes")
        assert (again.status, again.err.strip()) == (1, "Nothing to do: each of 4 has these values already.")

    @pytest.mark.parametrize(
        ("chosen", "changed"), [(["--domain", "other.example"], 3), (["--user", "ann@example.org"], 1)]
    )
    def test_it_can_be_for_some_only(self, manage: Manage, users: list[User], chosen: list[str], changed: int) -> None:
        done = manage("account", "user", "defaults", "propagate", "--field", "mailbox_mb", *chosen, "--yes", "--json")
        assert done.json[0]["changed"] == changed
        assert User.objects.filter(mailbox_mb=100).count() == changed

    def test_a_dry_run_shows_and_does_nothing(self, manage: Manage, users: list[User]) -> None:
        shown = manage(
            "account", "user", "defaults", "propagate", "--field", "mailbox_mb", "--all", "--dry-run", "--json"
        )
        assert shown.status == 0
        assert (shown.json[0]["changing"], len(shown.json[0]["examples"])) == (4, 4)
        assert shown.json[0]["examples"][0]["would_be"] == 100
        assert (
            "4 of 4 would change"
            in manage("account", "user", "defaults", "propagate", "--field", "mailbox_mb", "--all", "--dry-run").out
        )
        assert not User.objects.exclude(mailbox_mb=0).exists()

    def test_without_a_person_to_ask_it_wants_yes(self, manage: Manage, users: list[User]) -> None:
        refused = manage("account", "user", "defaults", "propagate", "--field", "mailbox_mb", "--all")
        assert (refused.status, refused.err.strip()) == (1, "4 of 4 would change; --yes does it.")

    def test_of_domains_too(self, manage: Manage, users: list[User]) -> None:
        assert manage("account", "domain", "defaults", "set", "--max-users", "9").status == 0
        assert manage("account", "domain", "defaults", "show", "--json").json[0]["max_users"] == 9
        one = ["--domain", "example.org", "--yes"]
        assert manage("account", "domain", "defaults", "propagate", "--field", "max_users", *one).status == 0
        assert dict(Domain.objects.values_list("name", "max_users")) == {"example.org": 9, "other.example": 0}

    def test_a_wrong_value_is_refused(self, manage: Manage) -> None:
        refused = manage("account", "user", "defaults", "set", "--mailbox-mb", "-5")
        assert (refused.status, "mailbox_mb: Ensure this value is greater" in refused.err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["domain"],
        ["planet", "list"],
        ["domain", "add"],
        ["domain", "set", "example.org"],
        ["user", "add", "x@example.org", "--admin", "--domain-admin"],
        ["user", "set", "ann@example.org"],
        ["alias", "add", "x@example.org"],
        ["list", "add", "x@example.org", "--posting", "nobody"],
        ["domain", "set", "example.org", "--max-users", "many"],
        ["user", "defaults", "set"],
        ["user", "defaults", "propagate", "--all"],
        ["user", "defaults", "propagate", "--field", "mailbox_mb"],
        ["user", "defaults", "propagate", "--field", "colour", "--all"],
    ],
)
def test_what_is_not_understood_ends_with_2(manage: Manage, ann: User, arguments: list[str]) -> None:
    assert manage("account", *arguments).status == 2


class TestFirstAdministrator:
    def test_it_is_made_once_and_its_password_shown_once(self, manage: Manage) -> None:
        made = manage("firstadmin", "--json", "--show-password")
        user = User.objects.get()
        assert made.status == 0
        assert made.json["email"] == user.email == "admin@localhost"
        assert user.check_password(made.json["password"]) and user.is_staff
        assert user.password.startswith("argon2$")
        again = manage("firstadmin", "--json")
        assert (again.status, json.loads(again.out)) == (0, {})
        assert User.objects.count() == 1

    def test_the_environment_may_name_it_and_then_no_password_is_shown(
        self, manage: Manage, settings: LazySettings
    ) -> None:
        settings.MAILSPOOL_ADMIN_EMAIL, settings.MAILSPOOL_ADMIN_PASSWORD = "Root@Example.org", PASSWORD
        made = manage("firstadmin")
        assert User.objects.get().email == "root@example.org"
        assert PASSWORD not in made.out

    @pytest.mark.parametrize(
        ("email", "password", "sentence"),
        [("root", PASSWORD, "MAILSPOOL_ADMIN_EMAIL"), ("root@localhost", "short", "MAILSPOOL_ADMIN_PASSWORD")],
    )
    def test_a_wrong_environment_is_refused_with_its_name(
        self, manage: Manage, settings: LazySettings, email: str, password: str, sentence: str
    ) -> None:
        settings.MAILSPOOL_ADMIN_EMAIL, settings.MAILSPOOL_ADMIN_PASSWORD = email, password
        refused = manage("firstadmin")
        assert refused.status == 1
        assert sentence in refused.err
        assert not User.objects.exists()


class TestFirstPassword:
    @pytest.fixture(autouse=True)
    def no_file(self) -> Iterator[None]:
        first_password.forget()
        yield
        first_password.forget()

    @pytest.fixture
    def made(self, manage: Manage) -> User:
        done = manage("firstadmin")
        email, self.password = first_password.path().read_text().split()
        assert self.password not in done.out
        assert str(first_password.path()) in done.out
        return User.objects.get(email=email)

    def test_it_stands_in_a_file_for_its_owner_where_no_terminal_shows_it(self, made: User) -> None:
        assert made.check_password(self.password)
        assert stat.S_IMODE(first_password.path().stat().st_mode) == 0o600

    def test_it_is_gone_after_the_first_login(self, made: User, client: Client) -> None:
        wrong = {"username": made.email, "password": "not-the-password"}
        client.post(reverse("admin:login"), wrong)
        assert first_password.path().exists()
        client.post(reverse("admin:login"), {**wrong, "password": self.password})
        assert "_auth_user_id" in client.session
        assert not first_password.path().exists()

    def test_it_is_gone_when_another_password_is_given(self, manage: Manage, made: User) -> None:
        assert manage("account", "user", "set", made.email, "--name", "First").status == 0
        assert first_password.path().exists()
        assert manage("account", "user", "password", made.email, "--password", PASSWORD).status == 0
        assert not first_password.path().exists()

    def test_it_is_gone_with_its_user(self, made: User) -> None:
        made.delete()
        assert not first_password.path().exists()

    def test_a_later_start_removes_what_was_used_on_another_machine(self, manage: Manage, made: User) -> None:
        manage("firstadmin")
        assert first_password.path().exists()
        User.objects.update(last_login=timezone.now())
        manage("firstadmin")
        assert not first_password.path().exists()

    def test_no_file_is_left_when_no_administrator_is_made(self, manage: Manage, settings: LazySettings) -> None:
        settings.MAILSPOOL_ADMIN_EMAIL = "root"
        assert manage("firstadmin").status == 1
        assert not first_password.path().exists()


def test_the_last_login_is_that_of_any_protocol(manage: Manage, ann: User) -> None:
    now = timezone.now()
    User.objects.update(last_login=now - timedelta(days=3))
    shown = manage("account", "user", "show", ann.email, "--json").json[0]
    assert shown["last_login_by"] == "Web"
    pending = login_history.Pending()
    pending.note(ann.pk, "SMTP", "192.0.2.1", now)
    login_history.write(pending.take())
    shown = manage("account", "user", "show", ann.email, "--json").json[0]
    assert (shown["last_login"], shown["last_login_by"]) == (now.isoformat(timespec="seconds"), "SMTP")
