"""Who is connected, and dropping them: real listeners, real web sessions, a real Dovecot."""

from __future__ import annotations

import contextlib
import imaplib
import json
import poplib
import smtplib
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import actions, connections, history
from accounts.actor import Actor, NotAllowed
from accounts.connections import bus
from accounts.models import Login, Role, Status, User, WebSession
from spool.models import AuditEvent
from tests.support.dovecot import API_KEY, Dovecot, is_installed
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
PASSWORD = "correct-horse-battery"
ROOT = Actor("root@localhost", Role.SYSTEM_ADMINISTRATOR)


@pytest.fixture
def ann() -> User:
    actions.add_domain("example.org")
    return actions.add_user("ann@example.org", PASSWORD)


@pytest.fixture
def admin() -> User:
    return actions.add_user("root@localhost", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR)


def log_in(user: User, **headers: str) -> Client:
    client = Client(headers=headers)
    answer = client.post(reverse("admin:login"), {"username": user.email, "password": PASSWORD}, follow=False)
    assert answer.status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get(reverse("admin:index")).status_code == 200


class TestWebSessions:
    def test_a_login_is_listed_with_who_where_and_since_when(self, admin: User, redis: RedisServer) -> None:
        log_in(admin, user_agent="Browser/1.0")
        [found] = connections.listing(ROOT).connections
        assert (found.protocol, found.user, found.ip, found.detail) == ("Web", admin.email, "127.0.0.1", "Browser/1.0")
        assert found.since is not None and found.messages is None

    def test_a_listing_never_shows_the_key_that_would_let_one_in(self, admin: User, redis: RedisServer) -> None:
        client = log_in(admin)
        shown = json.dumps([one.as_json() for one in connections.listing(ROOT).connections])
        assert str(client.session.session_key) not in shown

    def test_a_dropped_session_is_over_at_once_and_others_go_on(self, admin: User, redis: RedisServer) -> None:
        second = actions.add_user("second@localhost", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR)
        dropped, other = log_in(admin), log_in(second)
        assert connections.drop(ROOT, user=admin).sentence == "1 connection ended: 1 web."
        assert not is_in(dropped)
        assert is_in(other)

    def test_one_of_two_sessions_can_be_dropped(self, admin: User, redis: RedisServer) -> None:
        first, second = log_in(admin), log_in(admin)
        row = WebSession.objects.get(session_key=first.session.session_key)
        connections.drop_one(ROOT, str(row.public_id))
        assert not is_in(first)
        assert is_in(second)

    def test_sessions_from_an_address_are_dropped(self, admin: User, redis: RedisServer) -> None:
        client = log_in(admin)
        assert connections.drop(ROOT, ip="192.0.2.1").total == 0
        assert connections.drop(ROOT, ip="127.0.0.1").web == 1
        assert not is_in(client)

    def test_a_new_password_ends_every_session_but_the_own_one(self, admin: User, redis: RedisServer) -> None:
        own, stolen = log_in(admin), log_in(admin)
        actions.change_password(Actor.of(admin), admin, "another-horse-battery", keep_session=own.session.session_key)
        assert WebSession.objects.filter(user=admin).count() == 1
        assert not is_in(stolen)

    def test_behind_a_proxy_the_address_is_what_the_proxy_saw(
        self, admin: User, redis: RedisServer, settings: Settings
    ) -> None:
        settings.MAILSPOOL_PROXIES = ["127.0.0.0/8"]
        client = Client(headers={"x-forwarded-for": "6.6.6.6, 192.0.2.9"})
        client.post(reverse("admin:login"), {"username": admin.email, "password": PASSWORD})
        assert [one.ip for one in connections.listing(ROOT).connections] == ["192.0.2.9"]

    def test_logins_are_counted_by_day_and_address(self, admin: User, redis: RedisServer) -> None:
        log_in(admin)
        log_in(admin)
        [login] = Login.objects.filter(user=admin)
        assert (login.protocol, login.ip, login.count) == ("Web", "127.0.0.1", 2)
        assert login.first <= login.last


def test_old_logins_and_sessions_are_forgotten(ann: User) -> None:
    now = timezone.now()
    for days in (1, 100):
        moment = now - timedelta(days=days)
        Login.objects.create(user=ann, protocol="SMTP", ip="192.0.2.1", day=moment.date(), first=moment, last=moment)
        WebSession.objects.create(session_key=f"k{days}", session_data="", expire_date=now + timedelta(days=2 - days))
    history.forget(now)
    assert [Login.objects.count(), WebSession.objects.count()] == [1, 1]


class TestReach:
    """Who may see and end whose connections."""

    def test_a_user_reaches_the_own_connections_alone(self, ann: User, redis: RedisServer) -> None:
        assert connections.listing(Actor.of(ann), user=ann.email).total == 0
        actions.add_user("bob@example.org", PASSWORD)
        for who in ({}, {"user": "bob@example.org"}, {"user": "nobody@example.org"}, {"ip": "127.0.0.1"}):
            with pytest.raises(NotAllowed):
                connections.listing(Actor.of(ann), **who)  # type: ignore[arg-type]
        with pytest.raises(NotAllowed):
            connections.drop(Actor.of(ann), user="bob@example.org")

    def test_a_domain_administrator_reaches_the_domain_and_nobody_beyond(self, ann: User, redis: RedisServer) -> None:
        chief = actions.add_user("chief@example.org", PASSWORD, role=Role.DOMAIN_ADMINISTRATOR)
        root = actions.add_user("root@example.org", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR)
        client = log_in(root)
        actor = Actor.of(chief)
        connections.drop(actor, user=ann)
        with pytest.raises(NotAllowed):
            connections.drop(actor, user=root)
        with pytest.raises(NotAllowed):
            actions.set_user_status(actor, root, Status.DISABLED)
        with pytest.raises(NotAllowed):
            connections.drop(actor, domain="example.net")
        assert is_in(client)

    def test_a_system_administrator_in_the_domain_is_reached_by_no_way(self, ann: User, redis: RedisServer) -> None:
        chief = actions.add_user("chief@example.org", PASSWORD, role=Role.DOMAIN_ADMINISTRATOR)
        root = actions.add_user("root@example.org", PASSWORD, role=Role.SYSTEM_ADMINISTRATOR)
        of_root = log_in(root)
        [shown] = connections.listing(ROOT).connections
        Client().force_login(ann)
        actor = Actor.of(chief)
        assert {one.user for one in connections.listing(actor).connections} == {ann.email}
        assert connections.drop_one(actor, shown.id).web == 0
        assert connections.drop(actor, ip=shown.ip).web == 0
        assert connections.drop(actor, domain="example.org").web == 1
        assert {one.user for one in connections.listing(ROOT).connections} == {root.email}
        assert is_in(of_root)

    def test_nobody_locks_themselves_out(self, ann: User, redis: RedisServer) -> None:
        with pytest.raises(actions.Refused, match="can't lock yourself out"):
            actions.set_user_status(Actor.of(ann), ann, Status.DISABLED)
        ann.refresh_from_db()
        assert ann.status == Status.ENABLED

    def test_everything_is_written_down(self, ann: User, redis: RedisServer) -> None:
        actions.set_user_status(ROOT, ann, Status.RECEIVING)
        actions.change_password(ROOT, ann, "another-horse-battery")
        connections.drop(ROOT, user=ann)
        written = [
            (event.actor, event.action, event.on) for event in history.of_user(ann).filter(source="page").order_by("id")
        ]
        assert written == [(ROOT.name, what, ann.email) for what in ("status", "password", "drop connections")]
        assert list(AuditEvent.objects.filter(source="page").order_by("id").values_list("action", flat=True)) == [
            "status",
            "password",
            "drop connections",
        ]
        assert "another-horse" not in str(list(AuditEvent.objects.values()))


def test_without_redis_the_change_is_made_and_what_may_be_open_is_said(
    ann: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.RQ_CONNECTION = {"URL": f"redis://127.0.0.1:{free_port()}/0"}
    bus._client.cache_clear()
    try:
        done = actions.set_user_status(ROOT, ann, Status.DISABLED)
        listed = connections.listing(ROOT)
    finally:
        bus._client.cache_clear()
    ann.refresh_from_db()
    assert ann.status == Status.DISABLED
    assert done.dropped is not None
    assert "Redis does not answer" in done.sentence and "SMTP connections may still be open" in done.sentence
    assert "Redis does not answer" in listed.problems[0]


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    server = Dovecot()
    server.add_user("ann@example.org")
    server.add_user("bob@example.org")
    server.start()
    yield server
    server.remove()


@pytest.mark.skipif(not is_installed(), reason="needs Dovecot")
class TestDovecot:
    @pytest.fixture
    def dovecot(self, server: Dovecot, settings: Settings, redis: RedisServer) -> Dovecot:
        settings.MAILSPOOL_DOVEADM_URL, settings.MAILSPOOL_DOVEADM_KEY = server.doveadm_url, API_KEY
        return server

    @contextlib.contextmanager
    def session(self, dovecot: Dovecot, address: str) -> Iterator[imaplib.IMAP4]:
        client = imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=20)
        client.login(address, "correct horse")
        client.select()
        yield client
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            client.logout()

    def is_open(self, client: imaplib.IMAP4 | poplib.POP3) -> bool:
        try:
            answer = client.noop()
        except (imaplib.IMAP4.error, poplib.error_proto, OSError):
            return False
        return answer[0] == "OK" if isinstance(client, imaplib.IMAP4) else answer[:3] == b"+OK"

    def test_an_imap_session_is_listed_and_dropped_while_others_go_on(self, dovecot: Dovecot, ann: User) -> None:
        with self.session(dovecot, "ann@example.org") as hers, self.session(dovecot, "bob@example.org") as his:
            found = {(one.protocol, one.user, one.ip) for one in connections.listing(ROOT).connections}
            assert found == {("IMAP", "ann@example.org", "127.0.0.1"), ("IMAP", "bob@example.org", "127.0.0.1")}
            done = actions.set_user_status(ROOT, ann, Status.RECEIVING)
            assert "1 mailbox" in done.sentence
            wait_until(lambda: not self.is_open(hers), "the session is over")
            assert self.is_open(his)

    def test_a_pop_session_is_listed_and_dropped(self, dovecot: Dovecot, ann: User) -> None:
        client = poplib.POP3("127.0.0.1", dovecot.pop3_port, timeout=20)
        with contextlib.closing(client):
            client.user("ann@example.org")
            client.pass_("correct horse")
            [found] = connections.listing(ROOT).connections
            assert (found.protocol, found.user, found.ip) == ("POP3", "ann@example.org", "127.0.0.1")
            assert connections.drop(ROOT, user=ann).mailbox == 1
            wait_until(lambda: not self.is_open(client), "the session is over")

    def test_a_delivery_by_lmtp_is_listed_and_dropped_in_the_middle_of_its_message(
        self, dovecot: Dovecot, ann: User
    ) -> None:
        with smtplib.LMTP("127.0.0.1", dovecot.lmtp_port, timeout=20) as client:
            client.ehlo()
            client.mail("eve@example.com")
            client.rcpt("ann@example.org")
            assert client.docmd("DATA")[0] == 354
            client.send(b"Subject: half a mess")
            [found] = connections.listing(ROOT).connections
            assert (found.protocol, found.user) == ("LMTP", "ann@example.org")
            assert connections.drop(ROOT, user=ann).mailbox == 1
            assert client.getreply()[0] == 421

    def test_a_session_is_dropped_by_its_address(self, dovecot: Dovecot, ann: User) -> None:
        with self.session(dovecot, "ann@example.org") as client:
            assert connections.drop(ROOT, ip="192.0.2.1").total == 0
            assert self.is_open(client)
            assert connections.drop(ROOT, ip="127.0.0.1").mailbox == 1
            wait_until(lambda: not self.is_open(client), "the session is over")

    def test_a_wrong_key_is_said(self, dovecot: Dovecot, ann: User, settings: Settings) -> None:
        settings.MAILSPOOL_DOVEADM_KEY = "wrong"
        with self.session(dovecot, "ann@example.org") as client:
            dropped = connections.drop(ROOT, user=ann)
            assert "is MAILSPOOL_DOVEADM_KEY its doveadm_api_key?" in dropped.sentence
            assert "IMAP and POP connections may still be open" in dropped.sentence
            assert self.is_open(client)

    def test_a_dovecot_that_is_away_is_said_within_seconds(
        self, ann: User, redis: RedisServer, settings: Settings
    ) -> None:
        settings.MAILSPOOL_DOVEADM_URL = f"http://127.0.0.1:{free_port()}"
        began = time.monotonic()
        assert "Dovecot at 127.0.0.1" in connections.listing(ROOT).problems[0]
        assert time.monotonic() - began < 5


@pytest.mark.skipif(not is_installed(), reason="needs Dovecot")
@pytest.mark.django_db(transaction=True)
def test_a_dovecot_that_asks_our_database_knows_at_once_who_was_disabled(
    ann: User, redis: RedisServer, settings: Settings
) -> None:
    server = Dovecot(connection.settings_dict)
    server.start()
    settings.MAILSPOOL_DOVEADM_URL, settings.MAILSPOOL_DOVEADM_KEY = server.doveadm_url, API_KEY

    def may_log_in(password: str) -> bool:
        client = imaplib.IMAP4("127.0.0.1", server.imap_port, timeout=20)
        try:
            return bool(client.login(ann.email, password)[0] == "OK")
        except imaplib.IMAP4.error:
            return False
        finally:
            client.shutdown()

    try:
        assert may_log_in(PASSWORD), server.daemon.log_tail()
        assert not may_log_in("wrong-horse-battery")
        actions.set_user_status(ROOT, ann, Status.RECEIVING)
        assert not may_log_in(PASSWORD)
        actions.set_user_status(ROOT, ann, Status.ENABLED)
        actions.change_password(ROOT, ann, "another-horse-battery")
        assert not may_log_in(PASSWORD)
        assert may_log_in("another-horse-battery")
    finally:
        server.remove()
