"""One running installation for all tests of the folder, with users, a sink, and a DNS that says what tests want."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.world import DEAD_DOMAIN, LOCAL_DOMAIN, SINK_DOMAIN, World
from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None) -> Iterator[World]:
    """Mailspool, its DNS and its sink, all running."""
    folder: Path = tmp_path_factory.mktemp("interop")
    # Postfix's programs run as users of their own.
    folder.chmod(0o755)
    url = durable_postgres.create_database("interop") if durable_postgres else ""
    sink = CountingSink(folder, keep=True)
    with DNSServer() as dns:
        sink.start()
        dns.add(SINK_DOMAIN, "MX", f"10 mx.{SINK_DOMAIN}.")
        dns.add(f"mx.{SINK_DOMAIN}", "A", "127.0.0.1")
        # The sink listens on 127.0.0.1 alone.
        dns.add(DEAD_DOMAIN, "MX", f"10 mx.{DEAD_DOMAIN}.")
        dns.add(f"mx.{DEAD_DOMAIN}", "A", "127.0.0.99")
        mailspool = MailspoolUnderTest(folder, database_url=url, dns=dns.address)
        mailspool.prepare()
        mailspool.add_domain(LOCAL_DOMAIN, "ann", "bob", "cleo", "dora")
        mailspool.settings(bypass_networks="127.0.0.0/8", smtp_out_port=sink.port, dead_host_seconds=1)
        mailspool.start()
        yield World(mailspool, sink, dns)
        mailspool.kill()
        sink.stop()


@pytest.fixture
def mailspool(world: World) -> Iterator[MailspoolUnderTest]:
    """The installation, with an empty spool afterwards."""
    yield world.mailspool
    if not world.mailspool.is_empty:
        world.mailspool.run("from spool.models import Entry; Entry.objects.all().delete()")
        for path in world.mailspool.message_files():
            path.unlink(missing_ok=True)
