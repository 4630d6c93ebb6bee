"""A database whose connections fall silent without an end, as after a fail-over or behind a forgetful firewall."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.crash.conftest import Install
from tests.crash.ledger import Clients, Ledger, settle
from tests.support.far_postgres import FarPostgres
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

# tcp_user_timeout and a commit that is tried again; kernels count both in seconds.
PATIENCE_SECONDS = 40.0


@pytest.mark.long
@pytest.mark.postgresql
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are for root")
def test_mail_goes_on_when_all_connections_fall_silent_and_new_ones_work(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer, tmp_path: Path
) -> None:
    mailspool = install()
    with FarPostgres(durable_postgres, tmp_path) as far:
        for program in (*mailspool.listeners, *mailspool.workers):
            program.env["DATABASE_URL"] = far.url(mailspool.database_url)
        mailspool.start()
        ledger = Ledger("silent")
        clients = Clients(mailspool, ledger, count=4, pause_seconds=0.05)
        clients.start()
        wait_until(lambda: len(ledger.acknowledged) > 20, "mail flows", 30)
        assert far.fall_silent() >= 2
        began, taken = time.monotonic(), len(ledger.acknowledged)
        wait_until(lambda: len(ledger.acknowledged) > taken + 20, "mail is taken in again", PATIENCE_SECONDS)
        print(f"taken in again after {time.monotonic() - began:.1f} s")
        clients.stop()
        mailspool.wait_until_empty(120)
        print(f"all delivered after {time.monotonic() - began:.1f} s")
        account = settle(ledger, mailspool, sink)
        assert not account.lost
