"""Guessing passwords, over SMTP and the web: when a login closes, to whom, and how it is opened."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions as accounts
from accounts.models import Role
from security import actions, login_protection
from security.housekeeping import forget
from security.models import BlacklistEntry, FailedLogin, KnownLogin, LoginBlock, LoginRules, Source
from spool.actions.actor import Actor, NotAllowed
from spool.actions.verb import Refused
from spool.models import AuditEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis")]
ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)
ANN, BOB = "ann@example.org", "bob@example.org"
HERE, THERE = "198.51.100.1", "203.0.113.7"


@pytest.fixture(autouse=True)
def rules() -> LoginRules:
    return LoginRules.objects.create(pk=1, pair_failures=3, ip_failures=6, account_failures=8)


def guess(times: int, account: str = ANN, ip: str = HERE, protocol: str = "smtp") -> None:
    for n in range(times):
        login_protection.failed(account, ip, f"guess {n}", protocol)


def is_closed(account: str, ip: str) -> bool:
    return login_protection.closed(account, ip) is not None


class TestRules:
    def test_an_account_closes_to_the_one_address_that_guesses(self) -> None:
        guess(2)
        assert not is_closed(ANN, HERE)
        guess(3, protocol="web")
        assert is_closed(ANN, HERE) and is_closed(" ANN@example.org ", HERE) and is_closed("ann@EXAMPLE.org.", HERE)
        assert not is_closed(ANN, THERE) and not is_closed(BOB, HERE)
        found = login_protection.closed(ANN, HERE)
        assert found is not None and found.minutes == 15
        event = AuditEvent.objects.get(action="login-block")
        assert event.on == f"{ANN} from {HERE}" and "15 minutes after 3 wrong passwords" in event.outcome

    def test_the_same_wrong_password_again_and_again_counts_once(self) -> None:
        for _ in range(50):
            login_protection.failed(ANN, HERE, "the old one", "smtp")
        assert not is_closed(ANN, HERE)

    def test_an_address_that_tries_many_accounts_is_closed_out_of_all(self) -> None:
        for n in range(6):
            login_protection.failed(f"user{n}@example.org", HERE, "123456", "smtp")
        assert is_closed(BOB, HERE) and not is_closed(BOB, THERE)

    def test_internal_addresses_are_not_closed_but_their_guesses_at_an_account_are(self) -> None:
        for n in range(20):
            login_protection.failed(f"user{n}@example.org", "10.0.0.5", "123456", "smtp")
        assert not is_closed(BOB, "10.0.0.5")
        guess(3, ip="10.0.0.5")
        assert is_closed(ANN, "10.0.0.5") and not is_closed(BOB, "10.0.0.5")

    def test_an_account_that_is_tried_from_everywhere_stays_open_where_it_is_at_home(self) -> None:
        login_protection.succeeded(ANN, HERE)
        for n in range(8):
            login_protection.failed(ANN, f"203.0.113.{n}", f"guess {n}", "smtp")
        assert is_closed(ANN, "192.0.2.99")
        assert not is_closed(ANN, HERE)
        assert not is_closed(BOB, "192.0.2.99")
        guess(3)
        assert is_closed(ANN, HERE), "where it is at home, guesses from there count"

    def test_ipv6_counts_by_the_network_of_one_customer(self) -> None:
        for n in range(3):
            login_protection.failed(ANN, f"2001:db8::{n}", f"guess {n}", "smtp")
        assert is_closed(ANN, "2001:db8::ffff") and not is_closed(ANN, "2001:db8:0:1::1")

    def test_a_right_password_forgets_the_slips_before_it(self) -> None:
        for _ in range(3):
            guess(2)
            login_protection.succeeded(ANN, HERE)
        guess(2)
        assert not is_closed(ANN, HERE)

    def test_old_guesses_and_old_blocks_end_by_themselves(self, rules: LoginRules) -> None:
        guess(2)
        FailedLogin.objects.update(at=timezone.now() - timedelta(minutes=rules.window_minutes, seconds=1))
        guess(2)
        assert not is_closed(ANN, HERE)
        guess(3)
        LoginBlock.objects.update(until=timezone.now())
        assert not is_closed(ANN, HERE)
        FailedLogin.objects.all().delete()
        guess(3)
        assert LoginBlock.objects.get().times == 2

    def test_switched_off_they_close_nobody_and_open_what_is_closed(self, rules: LoginRules) -> None:
        guess(3)
        rules.enabled = False
        actions.change_rules(ROOT, rules)
        assert not is_closed(ANN, HERE)
        guess(20)
        assert not is_closed(ANN, HERE)

    def test_no_password_can_be_found_from_what_is_kept(self) -> None:
        login_protection.failed(ANN, HERE, "correct horse", "smtp")
        row = FailedLogin.objects.get()
        assert row.mark < 2**16
        assert "correct horse" not in str(vars(row))

    @pytest.mark.parametrize("account", ["", "\0", "x" * 10_000, "ä@ö", "\ud800"])
    def test_any_name_may_be_tried(self, account: str) -> None:
        for n in range(4):
            login_protection.failed(account.encode("utf-8", "replace").decode(), HERE, f"{n}\0", "smtp")
        assert is_closed(account.encode("utf-8", "replace").decode(), HERE)

    def test_a_login_that_is_open_costs_one_query(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(1):
            login_protection.closed(ANN, HERE)
        login_protection.succeeded(ANN, HERE)
        with django_assert_num_queries(1):
            login_protection.succeeded(ANN, HERE)


class TestActions:
    def test_releasing_opens_the_login_and_forgets_the_guesses(self) -> None:
        guess(3)
        assert actions.release(ROOT, actions.blocks_of(ANN)) == 1
        assert not is_closed(ANN, HERE)
        guess(2)
        assert not is_closed(ANN, HERE)
        assert actions.release(ROOT, actions.blocks_of(ANN)) == 0
        assert AuditEvent.objects.get(action="login-release").on == f"{ANN} from {HERE}"

    def test_who_guesses_is_blacklisted_alone_or_with_the_network_around(self) -> None:
        guess(3)
        assert actions.blacklist_guessers(ROOT, actions.blocks_of(HERE)) == 1
        row = BlacklistEntry.objects.get()
        assert (row.network, row.smtp, row.web, row.source) == (HERE, True, True, Source.LOGINS)
        assert actions.blacklist_guessers(ROOT, actions.blocks_of(HERE), around=24) == 1
        assert actions.blacklisted(["198.51.100.200"])

    def test_an_account_that_everybody_tries_has_no_address_to_blacklist(self) -> None:
        for n in range(8):
            login_protection.failed(ANN, f"203.0.113.{n}", f"guess {n}", "smtp")
        with pytest.raises(Refused, match="no one address"):
            actions.blacklist_guessers(ROOT, LoginBlock.objects.filter(ip=""))

    def test_only_a_system_administrator_does(self, rules: LoginRules) -> None:
        guess(3)
        actor = Actor(ANN, Role.DOMAIN_ADMINISTRATOR, "example.org")
        for attempt in (
            lambda: actions.release(actor, LoginBlock.objects.all()),
            lambda: actions.blacklist_guessers(actor, LoginBlock.objects.all()),
            lambda: actions.change_rules(actor, rules),
        ):
            with pytest.raises(NotAllowed):
                attempt()
        assert is_closed(ANN, HERE)

    def test_what_is_over_is_forgotten_after_a_month(self) -> None:
        guess(3)
        login_protection.succeeded(BOB, HERE)
        actions.blacklist(ROOT, THERE, expires_at=timezone.now() + timedelta(hours=1))
        forget(timezone.now())
        assert LoginBlock.objects.exists() and BlacklistEntry.objects.exists() and KnownLogin.objects.exists()
        forget(timezone.now() + timedelta(days=31))
        for model in (LoginBlock, FailedLogin, KnownLogin, BlacklistEntry):
            assert not model._default_manager.exists(), model


class TestWeb:
    PASSWORD = "a-rather-long-secret"

    @pytest.fixture
    def url(self) -> str:
        accounts.add_domain("example.org")
        accounts.add_user(ANN, self.PASSWORD, role=Role.SYSTEM_ADMINISTRATOR)
        return reverse("admin:login")

    def log_in(self, client: Client, url: str, password: str) -> int:
        return client.post(url, {"username": ANN, "password": password}).status_code

    def test_guesses_by_smtp_and_web_add_up(self, client: Client, url: str) -> None:
        guess(2, ip="127.0.0.1")
        answer = client.post(url, {"username": ANN, "password": "another"})
        assert answer.status_code == 429
        page = answer.content.decode()
        assert "Try again in 15 minutes" in page and "block login release" in page
        assert answer["Retry-After"] == "900"
        assert self.log_in(client, url, self.PASSWORD) == 429
        assert self.log_in(Client(REMOTE_ADDR=THERE), url, self.PASSWORD) == 302
        actions.release(ROOT, actions.blocks_of(ANN))
        assert self.log_in(client, url, self.PASSWORD) == 302

    def test_a_right_password_forgets_the_slips_and_makes_the_address_known(self, client: Client, url: str) -> None:
        guess(2, ip="127.0.0.1")
        assert self.log_in(client, url, self.PASSWORD) == 302
        assert not FailedLogin.objects.exists()
        assert KnownLogin.objects.get().account == ANN

    def test_a_blacklisted_address_gets_no_page_and_others_do(self, client: Client, url: str) -> None:
        actions.blacklist(ROOT, THERE, protocols=["web"])
        answer = Client(REMOTE_ADDR=THERE).get(url)
        assert answer.status_code == 403
        assert "with the code B" in answer.content.decode()
        assert client.get(url).status_code == 200
        actions.whitelist(ROOT, THERE, protocols=["smtp"])
        assert Client(REMOTE_ADDR=THERE).get(url).status_code == 403
        actions.whitelist(ROOT, THERE, protocols=["web"])
        assert Client(REMOTE_ADDR=THERE).get(url).status_code == 200

    def test_an_open_session_ends_as_well(self, client: Client, url: str) -> None:
        there = Client(REMOTE_ADDR=THERE)
        assert self.log_in(there, url, self.PASSWORD) == 302
        page = reverse("admin:spool_settings_changelist")
        assert there.get(page).status_code == 302
        actions.blacklist(ROOT, THERE, protocols=["web"])
        assert there.get(page).status_code == 403

    def test_behind_a_proxy_the_client_is_who_it_says_and_nobody_elses_word_counts(self, settings: Any) -> None:
        actions.blacklist(ROOT, THERE, protocols=["web"])
        settings.MAILSPOOL_PROXIES = ["127.0.0.0/8", "198.51.100.0/24"]
        page = reverse("admin:login")

        def status(forwarded: str, remote: str = "127.0.0.1") -> int:
            headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
            return Client(REMOTE_ADDR=remote, **headers).get(page).status_code

        assert status(THERE) == 403
        assert status(f"{THERE}, {HERE}") == 403, "a chain of proxies of ours"
        assert status(f"{THERE}, 192.0.2.5") == 200, "what the client wrote itself"
        assert status("192.0.2.5", remote=THERE) == 403, "no proxy of ours"
        assert status("nonsense") == 200 and status("") == 200
        settings.MAILSPOOL_PROXIES = []
        assert status(THERE) == 200, "without a proxy the header is worth nothing"
