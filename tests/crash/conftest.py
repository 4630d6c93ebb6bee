"""A running installation between a client that keeps accounts and a sink that does too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.ledger import LOCAL, LOCAL_DOMAIN, REMOTE_DOMAIN
from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink

_numbers = itertools.count(1)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CountingSink]:
    sink = CountingSink(tmp_path)
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def dns() -> Iterator[DNSServer]:
    with DNSServer() as server:
        server.add(REMOTE_DOMAIN, "MX", f"10 mx.{REMOTE_DOMAIN}.")
        server.add(f"mx.{REMOTE_DOMAIN}", "A", "127.0.0.1")
        yield server


@pytest.fixture
def install(
    tmp_path: Path, dns: DNSServer, sink: CountingSink, durable_postgres: PostgresServer | None
) -> Iterator[Callable[..., MailspoolUnderTest]]:
    """Makes an installation with its domain, users and settings; nothing of it runs yet. Killed at the end."""
    made: list[MailspoolUnderTest] = []

    def install(folder: Path = tmp_path, **options: int) -> MailspoolUnderTest:
        url = durable_postgres.create_database(f"crash_{next(_numbers)}") if durable_postgres else ""
        mailspool = MailspoolUnderTest(folder, database_url=url, dns=dns.address, **options)
        made.append(mailspool)
        mailspool.prepare()
        mailspool.add_domain(LOCAL_DOMAIN, *(address.partition("@")[0] for address in LOCAL))
        mailspool.settings(
            bypass_networks="127.0.0.0/8", smtp_out_port=sink.port, max_connections_per_ip=1000,
            dead_host_seconds=1, retry_intervals_minutes="0.05",
        )  # fmt: skip
        return mailspool

    yield install
    for mailspool in made:
        mailspool.kill()
