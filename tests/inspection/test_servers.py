"""What `check` says of the database, Redis and the DNS."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from redis import Redis

from accounts import actions
from mailspool.inspection import redis as redis_look
from mailspool.inspection.findings import Level
from tests.inspection.conftest import Found
from tests.support.dns import DNSServer
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until


@pytest.mark.django_db
def test_the_tests_database_is_in_order(found: Found) -> None:
    assert [finding.level for finding in found("database.tables")] == [Level.OK]
    assert "answers" in found("database.database")[0].sentence or connection.vendor == "postgresql"


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_postgresql_that_does_not_sync_is_a_fault(found: Found) -> None:
    # The tests' own server runs so in `make test`, to be quick.
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    try:
        sentences = [finding.sentence for finding in found("database.database")]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET synchronous_commit")
    assert any("synchronous_commit = off: a power cut loses mail that was accepted" in s for s in sentences)


@pytest.mark.django_db
def test_what_needs_a_database_says_so_when_it_is_away(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        from django.db import OperationalError

        raise OperationalError("connection refused\nIs it running?")

    with monkeypatch.context() as broken:
        broken.setattr(CursorWrapper, "execute", fails)
        broken.setattr(connection, "close", lambda: None)
        (finding,) = found("database.tables")
    assert finding.level is Level.WARNING
    assert finding.sentence == "Could not be looked at without the database: connection refused."


class TestRedis:
    @pytest.fixture
    def server(self, tmp_path: Path, settings: LazySettings) -> Iterator[RedisServer]:
        server = RedisServer(tmp_path / "redis", tmp_path / "r.sock")
        self.port = free_port()
        at = server.daemon.command.index("--port")
        server.daemon.command[at + 1] = str(self.port)
        server.start()
        settings.REDIS_IS_EMBEDDED = False
        self.use(settings, server.url)
        yield server
        server.stop()

    def use(self, settings: LazySettings, url: str) -> None:
        settings.RQ_CONNECTION = {"URL": url}

    def test_one_by_a_socket_of_our_own_is_in_order(self, server: RedisServer, found: Found) -> None:
        (finding,) = found("redis.redis")
        assert finding.level is Level.OK and "takes what is written" in finding.sentence

    def test_a_socket_that_everybody_may_open_is_a_fault(
        self, server: RedisServer, found: Found, tmp_path: Path
    ) -> None:
        server.socket.chmod(0o777)
        for folder in (tmp_path,):
            folder.chmod(0o711)
        (finding,) = found("redis.redis")
        assert finding.level is Level.FAULT and "runs programs as Mailspool's user" in finding.sentence

    def test_tcp_without_a_password_is_a_warning_on_loopback(
        self, server: RedisServer, found: Found, settings: LazySettings
    ) -> None:
        self.use(settings, f"redis://127.0.0.1:{self.port}/0")
        (finding,) = found("redis.redis")
        assert finding.level is Level.WARNING
        assert "Any program on this machine reaches it without a password" in finding.sentence

    def test_with_a_password_it_is_in_order(self, server: RedisServer, found: Found, settings: LazySettings) -> None:
        with server.client() as client:
            client.config_set("requirepass", "hunter2")
        self.use(settings, f"redis://:hunter2@127.0.0.1:{self.port}/0")
        assert [finding.level for finding in found("redis.redis")] == [Level.OK]
        self.use(settings, f"redis://:hunter3@127.0.0.1:{self.port}/0")
        refused = found("redis.redis")[0]
        assert "It refuses the password of REDIS_URL" in refused.sentence and "hunter" not in refused.sentence

    def test_one_that_only_reads_is_a_fault(self, server: RedisServer, found: Found) -> None:
        with server.client() as client:
            client.replicaof("127.0.0.1", str(free_port()))
        (finding,) = found("redis.redis")
        assert finding.level is Level.FAULT and "REDIS_URL must name the one that it copies" in finding.sentence

    def test_one_that_can_t_save_its_file_is_a_fault(self, server: RedisServer, found: Found, tmp_path: Path) -> None:
        with server.client() as client:
            client.config_set("appendonly", "no")
            client.config_set("save", "3600 1")
            shutil.rmtree(tmp_path / "redis")
            client.bgsave()
            wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "it could not save")
        (finding,) = found("redis.redis")
        # Asked to end it would save, again and again.
        server.kill()
        assert finding.level is Level.FAULT
        assert "It takes nothing: MISCONF" in finding.sentence and "look at its log, its disk" in finding.sentence

    def test_one_that_is_away_is_a_fault_without_its_password(
        self, server: RedisServer, found: Found, settings: LazySettings
    ) -> None:
        self.use(settings, f"redis://:hunter2@127.0.0.1:{free_port()}/0")
        (finding,) = found("redis.redis")
        assert finding.level is Level.FAULT and "Is it running" in finding.sentence
        assert "hunter2" not in finding.sentence

    @pytest.mark.parametrize(
        ("url", "level", "words"),
        [
            ("redis://192.0.2.1:6379/0", Level.FAULT, "reached at 192.0.2.1 without a password"),
            ("redis://:x@192.0.2.1:6379/0", Level.WARNING, "in clear text"),
            ("rediss://192.0.2.1:6379/0", Level.FAULT, "without a password"),
        ],
    )
    def test_whom_another_machine_s_trusts_is_looked_at(self, url: str, level: Level, words: str) -> None:
        (finding,) = redis_look._trust(url)
        assert finding.level is level and words in finding.sentence
        assert not list(redis_look._trust("rediss://:x@192.0.2.1:6379/0"))


@pytest.mark.django_db(transaction=True)
class TestNames:
    @pytest.fixture
    def dns(self, settings: LazySettings) -> Iterator[DNSServer]:
        with DNSServer() as server:
            settings.MAILSPOOL_DNS = server.address
            settings.MAILSPOOL_HOSTNAME = "mail.example.org"
            yield server

    def test_a_name_with_its_address_and_back_is_in_order(self, dns: DNSServer, found: Found) -> None:
        dns.add("mail.example.org", "A", "192.0.2.1")
        dns.add("1.2.0.192.in-addr.arpa", "PTR", "mail.example.org.")
        assert [f.sentence for f in found("names.host_name")] == ["mail.example.org is 192.0.2.1, and the reverse."]

    def test_a_name_without_address_is_a_warning(self, dns: DNSServer, found: Found) -> None:
        assert "has no address in the DNS" in found("names.host_name")[0].sentence

    def test_an_address_with_another_name_is_a_warning(self, dns: DNSServer, found: Found) -> None:
        dns.add("mail.example.org", "A", "192.0.2.1")
        dns.add("1.2.0.192.in-addr.arpa", "PTR", "host-1.provider.example.")
        (finding,) = found("names.host_name")
        assert finding.level is Level.WARNING
        assert "192.0.2.1 is called host-1.provider.example and not mail.example.org" in finding.sentence

    def test_a_dns_without_answer_is_a_warning_and_a_short_name_too(
        self, dns: DNSServer, found: Found, settings: LazySettings
    ) -> None:
        dns.fail("mail.example.org", "SERVFAIL")
        assert "The DNS gives no answer for mail.example.org" in found("names.host_name")[0].sentence
        settings.MAILSPOOL_HOSTNAME = "mailhost"
        assert "no full host name" in found("names.host_name")[0].sentence

    def test_mail_for_a_local_domain_must_be_sent_here(self, dns: DNSServer, found: Found) -> None:
        dns.add("mail.example.org", "A", "192.0.2.1")
        for name in ("by-name.test", "by-address.test", "elsewhere.test", "nowhere.test"):
            actions.add_domain(name)
        dns.add("by-name.test", "MX", "10 mail.example.org.")
        dns.add("by-address.test", "MX", "10 mx.by-address.test.")
        dns.add("mx.by-address.test", "A", "192.0.2.1")
        dns.add("elsewhere.test", "MX", "10 mx.provider.example.")
        wrong = [finding.sentence for finding in found("names.local_domains")]
        assert [re.sub(r" and not here.*", "", sentence) for sentence in wrong] == [
            "Mail for elsewhere.test goes to mx.provider.example",
            "Mail for nowhere.test goes to nowhere.test",
        ]

    def test_a_local_domain_says_once_who_sends_its_mail(self, dns: DNSServer, found: Found) -> None:
        for name in ("good.test", "none.test", "twice.test"):
            actions.add_domain(name)
        dns.add("good.test", "TXT", '"v=spf1 mx" " -all"')
        dns.add("good.test", "TXT", '"google-site-verification=x"')
        dns.add("none.test", "TXT", '"v=spf10 all"')
        dns.add("twice.test", "TXT", '"v=spf1 mx -all"')
        dns.add("twice.test", "TXT", '"v=spf1 a -all"')
        assert [finding.sentence.partition(":")[0] for finding in found("names.sender_policies")] == [
            "none.test has no SPF record",
            "twice.test has 2 SPF records",
        ]


def test_the_probe_of_redis_is_gone_after_a_while(redis: RedisServer, found: Found) -> None:
    found("redis.redis")
    with redis.client() as client:
        assert isinstance(client, Redis) and 0 < client.ttl(redis_look._PROBE) <= 10
    assert os.environ["MAILSPOOL_HOSTNAME"]
