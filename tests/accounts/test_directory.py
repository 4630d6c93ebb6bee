"""Who is local, what an address stands for, and how soon every process knows."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from accounts import actions, directory, local_addresses
from accounts.actor import Actor
from accounts.directory import LocalAlias, LocalList, LocalUser
from accounts.models import (
    Alias,
    Domain,
    HourlyLimit,
    ListMember,
    MailingList,
    Metric,
    Role,
    Status,
    ThrottleAction,
    User,
)
from spool import addressing
from spool.models.recipient import Kind

pytestmark = pytest.mark.django_db(transaction=True)

# Reads a line, answers with what the directory says of that address: as another process of the installation would.
ANOTHER_PROCESS = """
import sys
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from accounts import directory
for line in sys.stdin:
    found = directory.resolve(line.strip())
    print(type(found).__name__, getattr(found, "status", ""), flush=True)
"""


@pytest.fixture
def domain() -> Domain:
    return actions.add_domain("example.org")


def a_user(email: str = "ann@example.org", **fields: Any) -> User:
    """A user without a password: hashing one takes longer than all the rest of a test."""
    user = User(email=email, domain=Domain.objects.get(name=email.rpartition("@")[2]), **fields)
    user.set_unusable_password()
    user.save()
    return user


def the_user(address: str = "ann@example.org") -> LocalUser:
    found = directory.lookup(address)
    assert isinstance(found, LocalUser)
    return found


def test_the_limits_by_the_hour_come_with_an_address_and_its_domain(domain: Domain) -> None:
    actions.change(domain, bounces_per_hour=5, bounces_action="reject")
    a_user(messages_per_hour=10, bandwidth_mb_per_hour=2, bandwidth_action="none")
    actions.add_list("news@example.org", recipients_per_hour=7)
    assert the_user().hourly_limits == (
        HourlyLimit(Metric.MESSAGES, 10, ThrottleAction.DELAY),
        HourlyLimit(Metric.BANDWIDTH, 2 * 1024 * 1024, ThrottleAction.NONE),
    )
    here = directory.local_domain("example.org")
    assert here is not None
    assert here.hourly_limits == (HourlyLimit(Metric.BOUNCES, 5, ThrottleAction.REJECT),)
    news = directory.lookup("news@example.org")
    assert isinstance(news, LocalList)
    assert news.hourly_limits == (HourlyLimit(Metric.RECIPIENTS, 7, ThrottleAction.DELAY),)


class TestWhoIsThere:
    @pytest.mark.parametrize(
        "written",
        ["ann@example.org", "Ann@Example.ORG", "ann+shop@example.org", '"ann"@example.org', "ann@example.org."],
    )
    def test_a_user_is_found_however_the_address_is_written(self, domain: Domain, written: str) -> None:
        a_user()
        assert the_user(written).address == "ann@example.org"

    def test_a_user_whose_address_has_a_plus_is_found_before_the_one_without(self, domain: Domain) -> None:
        a_user()
        a_user("ann+shop@example.org")
        assert the_user("ann+shop@example.org").address == "ann+shop@example.org"

    def test_an_internationalised_domain_is_one_domain_in_both_spellings(self) -> None:
        actions.add_domain("bücher.example")
        a_user("ann@xn--bcher-kva.example")
        assert the_user("ann@BÜCHER.example") == the_user("ann@xn--bcher-kva.example")

    def test_an_alias_has_its_targets(self, domain: Domain) -> None:
        actions.add_alias("sales@example.org", ["ann@example.org", "zoe@example.net"])
        found = directory.resolve("Sales@example.org")
        assert isinstance(found, LocalAlias)
        assert set(found.targets) == {"ann@example.org", "zoe@example.net"}

    def test_a_list_has_its_enabled_members_and_an_address_for_bounces(self, domain: Domain) -> None:
        owner = a_user()
        row = actions.add_list("news@example.org", ["a@example.net", "b@example.net"], owner=owner.email)
        row.members.filter(address="b@example.net").update(enabled=False)
        found = directory.lookup("news@example.org")
        assert isinstance(found, LocalList)
        assert found.members == ("a@example.net",)
        assert the_user("news-bounces@example.org").address == owner.email

    def test_bounces_to_a_list_that_nobody_owns_go_to_the_postmaster(self, domain: Domain) -> None:
        actions.add_list("news@example.org")
        found = directory.lookup("news-bounces@example.org")
        assert isinstance(found, LocalAlias)
        assert found.targets == ("postmaster@example.org",)

    def test_nobody_is_at_an_address_that_nobody_has(self, domain: Domain) -> None:
        assert directory.resolve("nobody@example.org") is None
        assert directory.resolve("nobody@example.net") is None

    @pytest.mark.parametrize(
        "text", ["", "@", "ann", "@example.org", "a\0b@example.org", "\ud800@example.org", "x@" + "y" * 5000]
    )
    def test_text_that_is_no_address_is_nobody(self, domain: Domain, text: str) -> None:
        assert directory.resolve(text) is None
        assert directory.resolve_many([text]) == {text: None}


class TestCatchAll:
    def test_it_takes_the_mail_of_addresses_that_do_not_exist(self, domain: Domain) -> None:
        a_user()
        actions.change(domain, catch_all="ann@example.org")
        found = directory.resolve("nobody@example.org")
        assert isinstance(found, LocalUser) and found.address == "ann@example.org"

    def test_it_may_be_elsewhere(self, domain: Domain) -> None:
        actions.change(domain, catch_all="all@example.net")
        found = directory.resolve("nobody@example.org")
        assert isinstance(found, LocalAlias) and found.targets == ("all@example.net",)

    def test_it_does_not_take_the_mail_of_an_alias_or_list_that_is_switched_off(self, domain: Domain) -> None:
        a_user()
        actions.change(domain, catch_all="ann@example.org")
        actions.change(actions.add_alias("sales@example.org", ["ann@example.org"]), enabled=False)
        actions.change(actions.add_list("news@example.org"), enabled=False)
        assert directory.resolve("sales@example.org") is None
        assert directory.resolve("news@example.org") is None

    def test_one_that_does_not_exist_does_not_lead_to_itself(self, domain: Domain) -> None:
        actions.change(domain, catch_all="gone@example.org")
        assert directory.resolve("gone@example.org") is None


class TestPostmaster:
    """RFC 5321 4.5.1: every domain takes mail for postmaster."""

    def test_it_is_the_domains_administrators(self, domain: Domain) -> None:
        a_user(role=Role.DOMAIN_ADMINISTRATOR)
        a_user("bob@example.org")
        assert directory.resolve("postmaster@example.org").targets == ("ann@example.org",)  # type: ignore[union-attr]

    def test_without_one_it_is_the_system_administrators_with_a_mailbox(self, domain: Domain) -> None:
        actions.add_domain("other.example")
        a_user("root@other.example", role=Role.SYSTEM_ADMINISTRATOR)
        assert directory.resolve("postmaster@example.org").targets == ("root@other.example",)  # type: ignore[union-attr]

    def test_with_nobody_there_mail_is_still_taken(self, domain: Domain) -> None:
        recipients = addressing.accept("postmaster@example.org")
        assert [(one.address, one.kind) for one in recipients] == [("postmaster@example.org", Kind.LOCAL)]

    def test_it_comes_before_the_catch_all(self, domain: Domain) -> None:
        a_user(role=Role.DOMAIN_ADMINISTRATOR)
        actions.change(domain, catch_all="all@example.net")
        assert directory.resolve("postmaster@example.org").targets == ("ann@example.org",)  # type: ignore[union-attr]


class TestStatus:
    @pytest.mark.parametrize("of_user", Status)
    @pytest.mark.parametrize("of_domain", Status)
    def test_the_stricter_of_users_and_domains_counts(self, domain: Domain, of_user: Status, of_domain: Status) -> None:
        a_user(status=of_user)
        actions.set_domain_status(Actor.system(), domain, of_domain)
        found = the_user()
        assert found.status.may_send == (of_user.may_send and of_domain.may_send)
        assert found.status.may_receive == (of_user.may_receive and of_domain.may_receive)
        if found.status.may_receive:
            assert addressing.accept("ann@example.org")[0].kind is Kind.LOCAL
        else:
            with pytest.raises(addressing.MailboxDisabled, match=r"550 5\.2\.1 .* disabled"):
                addressing.accept("ann@example.org")

    @pytest.mark.parametrize("status", Status)
    def test_only_an_enabled_user_may_log_in(self, domain: Domain, status: Status) -> None:
        user = actions.add_user("ann@example.org", "correct-horse-battery")
        actions.set_user_status(Actor.system(), user, status)
        assert (directory.authenticate("Ann@example.org", "correct-horse-battery") is not None) == status.may_send
        assert directory.authenticate("ann@example.org", "wrong-horse-battery") is None


class TestSendingAs:
    @pytest.fixture
    def ann(self, domain: Domain) -> LocalUser:
        a_user()
        a_user("bob@example.org")
        return the_user()

    @pytest.mark.parametrize("sender", ["ann@example.org", "ANN@example.org", "ann+shop@example.org"])
    def test_a_user_may_send_as_the_own_address(self, ann: LocalUser, sender: str) -> None:
        assert directory.may_send_as(ann, sender)

    @pytest.mark.parametrize("sender", ["bob@example.org", "nobody@example.org", "ann@example.net", "x"])
    def test_a_user_may_not_send_as_anybody_else(self, ann: LocalUser, sender: str) -> None:
        assert not directory.may_send_as(ann, sender)

    def test_an_alias_may_be_used_by_its_targets_only(self, ann: LocalUser) -> None:
        actions.add_alias("sales@example.org", ["ann@example.org", "zoe@example.net"])
        actions.add_alias("help@example.org", ["bob@example.org"])
        assert directory.may_send_as(ann, "sales@example.org")
        assert not directory.may_send_as(ann, "help@example.org")

    def test_nobody_may_send_as_an_alias_that_is_switched_off(self, ann: LocalUser) -> None:
        actions.change(actions.add_alias("sales@example.org", ["ann@example.org"]), enabled=False)
        assert not directory.may_send_as(ann, "sales@example.org")

    def test_a_user_who_was_disabled_after_logging_in_may_not_send(self, ann: LocalUser) -> None:
        actions.set_user_status(Actor.system(), User.objects.get(email=ann.address), Status.RECEIVING)
        assert not directory.may_send_as(ann, ann.address)

    def test_another_user_who_got_the_address_later_is_not_the_one_who_logged_in(self, ann: LocalUser) -> None:
        User.objects.get(email=ann.address).delete()
        a_user()
        assert not directory.may_send_as(ann, ann.address)


class TestAliases:
    def test_aliases_lead_to_aliases(self, domain: Domain) -> None:
        a_user()
        actions.add_alias("one@example.org", ["two@example.org", "zoe@example.net"])
        actions.add_alias("two@example.org", ["ann@example.org"])
        recipients = addressing.accept("one@example.org")
        assert {(one.address, one.kind) for one in recipients} == {
            ("ann@example.org", Kind.LOCAL),
            ("zoe@example.net", Kind.REMOTE),
        }
        assert {one.original for one in recipients} == {"one@example.org"}

    def test_aliases_in_a_circle_lead_to_nobody(self, domain: Domain) -> None:
        actions.add_alias("one@example.org", ["two@example.org"])
        actions.add_alias("two@example.org", ["one@example.org"])
        with pytest.raises(addressing.MailboxDisabled, match="nobody behind this address"):
            addressing.accept("one@example.org")
        (answer,) = addressing.accept_many(["one@example.org"]).values()
        assert isinstance(answer, addressing.MailboxDisabled)

    def test_many_addresses_get_the_answers_that_each_alone_would(self, domain: Domain) -> None:
        a_user()
        a_user("bob@example.org", status=Status.DISABLED)
        actions.add_alias("one@example.org", ["ann@example.org", "two@example.org"])
        actions.add_alias("two@example.org", ["Zoe@example.net"])
        actions.add_list("news@example.org")
        for address, answer in addressing.accept_many(WRITTEN).items():
            try:
                alone: Any = addressing.accept(address)
            except addressing.RefusedRecipient as error:
                assert isinstance(answer, addressing.RefusedRecipient), address
                assert (type(answer), answer.reply) == (type(error), error.reply)
            else:
                assert answer == alone, address


WRITTEN = [
    "ann@example.org",
    "Ann+x@example.org",
    "bob@example.org",
    "one@example.org",
    "two@example.org",
    "news@example.org",
    "news-bounces@example.org",
    "nobody@example.org",
    "postmaster@example.org",
    "Zoe@Example.NET",
    "no address",
    "",
]


class TestQueries:
    """One version, one look at the domains, one look each at users, aliases, lists, and what they lead to."""

    MOST = 12

    def test_thousands_of_remote_domains_cost_no_query_each(
        self, domain: Domain, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        directory.forget()
        with django_assert_num_queries(2):
            answers = addressing.accept_many(f"someone@domain{n}.test" for n in range(3000))
        assert all(isinstance(answer, list) and answer[0].kind is Kind.REMOTE for answer in answers.values())

    def test_nor_do_they_one_by_one_as_recipients_of_a_message_arrive(
        self, domain: Domain, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        directory.forget()
        with django_assert_num_queries(2):
            for n in range(500):
                addressing.accept(f"someone@domain{n}.test")
        assert directory.cached_domain("never-seen.test") is None

    def test_nor_do_they_where_there_are_too_many_local_domains_to_know_them_all(
        self, domain: Domain, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_addresses, "MOST_DOMAINS_AT_ONCE", 1)
        actions.add_domain("other.example")
        a_user("ann@other.example")
        with django_assert_max_num_queries(self.MOST):
            answers = addressing.accept_many(["ann@other.example", *(f"someone@domain{n}.test" for n in range(3000))])
        assert len(answers) == 3001
        assert answers["ann@other.example"][0].kind is Kind.LOCAL  # type: ignore[index]
        assert isinstance(directory.cached_domain("never-seen.test"), directory.Miss)

    def test_thousands_of_members_users_and_aliases_cost_no_query_each(
        self, domain: Domain, django_assert_max_num_queries: Any
    ) -> None:
        User.objects.bulk_create(User(email=f"user{n}@example.org", domain=domain, password="!") for n in range(2500))
        aliases = Alias.objects.bulk_create(Alias(address=f"alias{n}@example.org", domain=domain) for n in range(500))
        for n, alias in enumerate(aliases):
            alias.targets.create(address=f"user{n}@example.org")
        row = MailingList.objects.create(address="news@example.org", domain=domain)
        ListMember.objects.bulk_create(
            ListMember(mailing_list=row, address=f"{kind}{n}@example.org")
            for kind, count in (("user", 2500), ("alias", 500))
            for n in range(count)
        )
        directory.changed()
        with django_assert_max_num_queries(2 * self.MOST):
            found = directory.lookup("news@example.org")
            assert isinstance(found, LocalList)
            answers = addressing.accept_many(found.members)
        assert len(answers) == 3000
        assert all(isinstance(answer, list) for answer in answers.values())

    def test_a_known_address_costs_nothing(
        self, domain: Domain, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        a_user()
        directory.resolve("ann@example.org")
        with django_assert_num_queries(0):
            for _ in range(100):
                addressing.accept("ann@example.org")
        assert isinstance(directory.cached("ann@example.org"), LocalUser)

    def test_the_catch_all_and_the_postmaster_of_a_domain_are_looked_for_once(
        self, domain: Domain, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        a_user(role=Role.DOMAIN_ADMINISTRATOR)
        actions.change(domain, catch_all="ann@example.org")
        directory.resolve_many(["x@example.org", "postmaster@example.org"])
        with django_assert_num_queries(0):
            directory.resolve_many(["x@example.org", "postmaster@example.org"])


class TestFreshness:
    def test_another_process_knows_within_a_second(self, domain: Domain) -> None:
        name = str(connection.settings_dict["NAME"])
        command = [sys.executable, "-c", ANOTHER_PROCESS, name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None

            def ask() -> str:
                process.stdin.write("ann@example.org\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
                return process.stdout.readline().strip()  # type: ignore[union-attr]

            assert ask() == "NoneType"
            user = a_user()
            time.sleep(directory.FRESH_SECONDS)
            assert ask() == "LocalUser enabled"
            actions.set_user_status(Actor.system(), user, Status.DISABLED)
            time.sleep(directory.FRESH_SECONDS)
            assert ask() == "LocalUser disabled"
            actions.remove(user)
            time.sleep(directory.FRESH_SECONDS)
            assert ask() == "NoneType"
            process.stdin.close()

    def test_this_process_knows_at_once(self, domain: Domain) -> None:
        assert directory.resolve("ann@example.org") is None
        a_user()
        assert directory.resolve("ann@example.org") is not None

    def test_what_was_rolled_back_is_not_remembered(self, domain: Domain) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            a_user()
            assert directory.lookup("ann@example.org") is not None
            raise RuntimeError
        assert directory.lookup("ann@example.org") is None

    def test_what_was_rolled_back_to_a_savepoint_is_not_remembered(self, domain: Domain) -> None:
        with transaction.atomic():
            a_user("bob@example.org")
            with pytest.raises(RuntimeError), transaction.atomic():
                a_user()
                assert directory.lookup("ann@example.org") is not None
                raise RuntimeError
            assert directory.lookup("ann@example.org") is None
            assert directory.lookup("bob@example.org") is not None

    def test_others_do_not_see_what_is_not_committed(self, domain: Domain) -> None:
        seen: list[object] = []

        def look() -> None:
            seen.append(directory.lookup("ann@example.org"))
            connection.close()

        directory.lookup("bob@example.org")
        with transaction.atomic():
            a_user()
            assert directory.lookup("ann@example.org") is not None
            thread = threading.Thread(target=look)
            thread.start()
            thread.join(20)
        assert seen == [None]
        assert directory.lookup("ann@example.org") is not None

    def test_a_login_does_not_make_every_process_forget(
        self, domain: Domain, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        user = a_user()
        directory.lookup(user.email)
        user.save(update_fields=["last_login"])
        with django_assert_num_queries(0):
            assert directory.lookup(user.email) is not None

    def test_what_is_remembered_has_a_bound(self, domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("accounts.directory_cache.MOST_KEPT", 100)
        now = [time.monotonic()]
        monkeypatch.setattr(directory._cache, "clock", lambda: now[0])
        for _ in range(20):
            directory.lookup_many(f"nobody{n}@example.org" for n in range(50))
            addressing.accept_many(f"someone@domain{n}.test" for n in range(50))
            directory.lookup_many(f"somebody{now[0]}{n}@example.org" for n in range(50))
            now[0] += directory.FRESH_SECONDS
            assert directory._cache.current().size <= 200


@pytest.fixture
def many_users(domain: Domain) -> Iterator[list[str]]:
    User.objects.bulk_create(User(email=f"user{n}@example.org", domain=domain, password="!") for n in range(50))
    directory.changed()
    yield [f"user{n}@example.org" for n in range(50)]


def test_threads_get_right_answers_while_the_directory_changes(many_users: list[str]) -> None:
    stop = threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        try:
            while not stop.is_set():
                for address, found in directory.resolve_many([*many_users, "nobody@example.org"]).items():
                    if (found is None) != (address == "nobody@example.org"):
                        wrong.append((address, found))
                for address in many_users[:10]:
                    if directory.local_domain("example.org") is None or directory.resolve(address) is None:
                        wrong.append(address)
        except Exception as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    user = User.objects.get(email=many_users[0])
    for n in range(40):
        actions.change(user, name=f"Name {n}")
        directory.forget()
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert wrong == []
