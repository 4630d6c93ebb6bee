"""A running installation between a client that keeps accounts and a sink that does too."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.crash.extent import PLACE
from tests.crash.ledger import LOCAL, LOCAL_DOMAIN, REMOTE_DOMAIN
from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink

_TEMPLATE = "crash_template"
_numbers = itertools.count(1)

Install = Callable[..., MailspoolUnderTest]
Pair = Callable[..., tuple[MailspoolUnderTest, MailspoolUnderTest]]
# Two machines have no file in common; the content of most messages of the clients is in parts then.
DATABASE = {"MAILSPOOL_STORE": "database", "MAILSPOOL_INLINE_KB": "2"}


@pytest.fixture(scope="session")
def sink_port() -> int:
    return free_port()


@pytest.fixture
def sink(tmp_path: Path, sink_port: int) -> Iterator[CountingSink]:
    sink = CountingSink(tmp_path, sink_port)
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def dns() -> Iterator[DNSServer]:
    with DNSServer() as server:
        server.add(REMOTE_DOMAIN, "MX", f"10 mx.{REMOTE_DOMAIN}.")
        server.add(f"mx.{REMOTE_DOMAIN}", "A", "127.0.0.1")
        yield server


@pytest.fixture(scope="session")
def prepared_home(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None, sink_port: int
) -> Path:
    """An installation's home with its tables, domain, users and settings, to be copied."""
    url = durable_postgres.create_database(_TEMPLATE) if durable_postgres else ""
    mailspool = MailspoolUnderTest(tmp_path_factory.mktemp("prepared"), database_url=url)
    _set_up(mailspool, sink_port)
    if not url:
        # Everything into the one file that is copied.
        with closing(sqlite3.connect(mailspool.home / "mailspool.sqlite3")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return mailspool.home


def _set_up(mailspool: MailspoolUnderTest, sink_port: int) -> None:
    mailspool.prepare()
    mailspool.add_domain(LOCAL_DOMAIN, *(address.partition("@")[0] for address in LOCAL))
    mailspool.settings(
        bypass_networks="127.0.0.0/8",
        smtp_out_port=sink_port,
        max_connections_per_ip=1000,
        dead_host_seconds=1,
        retry_intervals_minutes="0.05",
    )


@pytest.fixture
def install_on(
    tmp_path: Path, dns: DNSServer, sink: CountingSink, sink_port: int
) -> Iterator[Callable[[str], MailspoolUnderTest]]:
    """Makes an installation on an empty database of its own, by its URL. Killed at the end."""
    made: list[MailspoolUnderTest] = []

    def install_on(url: str) -> MailspoolUnderTest:
        made.append(MailspoolUnderTest(tmp_path, database_url=url, dns=dns.address, env=PLACE))
        _set_up(made[-1], sink_port)
        return made[-1]

    yield install_on
    for mailspool in made:
        mailspool.kill()


@pytest.fixture
def install(
    tmp_path: Path, dns: DNSServer, sink: CountingSink, durable_postgres: PostgresServer | None, prepared_home: Path
) -> Iterator[Install]:
    """Makes an installation with its domain, users and settings; nothing of it runs yet. Killed at the end."""
    made: list[MailspoolUnderTest] = []

    def install(folder: Path = tmp_path, **options: Any) -> MailspoolUnderTest:
        url = durable_postgres.create_database(f"crash_{next(_numbers)}", _TEMPLATE) if durable_postgres else ""
        options["env"] = PLACE | options.get("env", {})
        mailspool = MailspoolUnderTest(folder, database_url=url, dns=dns.address, **options)
        made.append(mailspool)
        shutil.copytree(prepared_home, mailspool.home, dirs_exist_ok=True)
        return mailspool

    yield install
    for mailspool in made:
        mailspool.kill()


@pytest.fixture
def pair(install: Install, tmp_path: Path, dns: DNSServer) -> Iterator[Pair]:
    """Makes two machines, mx1 and mx2; their Maildirs are one folder, and those of `shared` too."""
    made: list[MailspoolUnderTest] = []

    def pair(env: dict[str, str], *shared: str, web: bool = False) -> tuple[MailspoolUnderTest, MailspoolUnderTest]:
        first = install(tmp_path / "first", env={"MAILSPOOL_MACHINE": "mx1", **env}, web=web)
        env = {"MAILSPOOL_MACHINE": "mx2", **env}
        second = MailspoolUnderTest(tmp_path / "second", dns=dns.address, env=env, beside=first, web=web)
        made.append(second)
        first.run("from spool.files import marks; assert not marks.settle()")
        for name in ("spool", "drop", "keys", "quarantine", "maildirs"):
            (second.home / name).parent.mkdir(parents=True, exist_ok=True)
            if name in ("maildirs", *shared):
                (second.home / name).symlink_to(first.home / name)
            else:
                (second.home / name).mkdir()
        for key in (first.home / "keys").iterdir():
            (second.home / "keys" / key.name).write_bytes(key.read_bytes())
        return first, second

    yield pair
    for second in made:
        second.kill()
