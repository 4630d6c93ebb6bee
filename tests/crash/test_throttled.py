"""Forwards with a copy over the sending limit: the copy is stored once, the rest waits, whenever a worker is killed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.crash.conftest import Install
from tests.crash.faults import can_inject, commits, dies, kill_at, process_with
from tests.crash.ledger import LOCAL_DOMAIN, Clients, Ledger
from tests.crash.remains import found_test_id
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

FORWARDING, ELSEWHERE = f"bob@{LOCAL_DOMAIN}", "finn@sink.test"
LIMIT = 3


def _stored(mailspool: MailspoolUnderTest, ledger: Ledger) -> Counter[str]:
    found = Counter(found_test_id(path) for path in mailspool.maildir(FORWARDING))
    return Counter({test_id: count for test_id, count in found.items() if test_id in ledger.acknowledged})


@pytest.mark.long
@pytest.mark.skipif(not can_inject(), reason="needs strace, and the right to trace")
def test_each_kept_copy_is_stored_once_and_each_forward_waits_though_workers_die(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None
) -> None:
    mailspool = install()
    mailspool.run(
        "from accounts.models import User\nfrom throttling.models import ThrottleSettings\n"
        "row = ThrottleSettings.load()\nrow.notify_users = row.notify_administrators = False\nrow.save()\n"
        f"User.objects.filter(email={FORWARDING!r}).update(forward_to={ELSEWHERE!r}, forward_keeps_copy=True,"
        f" messages_per_hour={LIMIT})"
    )
    mailspool.start()
    ledger = Ledger("held")
    healthy = mailspool.workers[0]
    healthy.stop()
    faults = [kill_at("rename", 2), *commits(durable_postgres, (4, 7))[:2]]
    clients = Clients(mailspool, ledger, pause_seconds=0.3, recipients=lambda chance: (FORWARDING,))
    clients.start()
    for fault in faults:
        mailspool.workers[0] = process_with(mailspool, healthy, fault)
        mailspool.workers[0].start()
        assert dies(mailspool.workers[0]), f"{fault} did not hit"
        mailspool.workers[0].kill()
    clients.stop()
    mailspool.lapse_leases()
    mailspool.workers[0] = healthy
    healthy.start()
    once = Counter(dict.fromkeys(ledger.acknowledged, 1))
    wait_until(lambda: _stored(mailspool, ledger) >= once, "every copy is in the mailbox", 60)
    # The forwards wait, but for those that the limit lets go, and what a death has let go once more.
    [(at_once,)] = mailspool.rows(f"SELECT COUNT(*) FROM spool_trace WHERE recipient = '{ELSEWHERE}'")
    assert at_once <= LIMIT * (1 + len(faults))
    wait_until(
        lambda: mailspool.rows("SELECT COUNT(*) FROM spool_entry WHERE status <> 'throttled'") == [(0,)],
        "the rest waits",
        60,
    )
    mailspool.manage("throttle", "release", FORWARDING)
    mailspool.wait_until_empty(90)
    assert _stored(mailspool, ledger) == once
    forwarded = Counter(
        subject for (subject,) in mailspool.rows(f"SELECT subject FROM spool_trace WHERE recipient = '{ELSEWHERE}'")
    )
    assert {test_id: forwarded[test_id] for test_id in ledger.acknowledged} == dict(once)
