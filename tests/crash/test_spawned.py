"""Messages that results bring forth: notices, forwards and list copies exist exactly when the results are recorded."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.crash.conftest import Install
from tests.crash.extent import some
from tests.crash.faults import can_inject, commits, dies, kill_at, process_with
from tests.crash.ledger import LOCAL_DOMAIN, SENDER, Clients, Ledger, settle
from tests.crash.remains import assert_nothing_is_left, found_test_id
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.sink import CountingSink

NOBODY = "550.nobody@sink.test"
NEWS = f"news@{LOCAL_DOMAIN}"
FORWARDING = f"bob@{LOCAL_DOMAIN}"
# Who gets a message to the list, and one to the user who forwards.
ON_THE_LIST = ("dan@sink.test", f"cleo@{LOCAL_DOMAIN}")
FORWARDED_TO = ("finn@sink.test", FORWARDING)
IN_FLIGHT = 20


def _directory(mailspool: MailspoolUnderTest) -> None:
    mailspool.run(
        "from accounts.models import Domain, ListMember, MailingList, User\n"
        f"User.objects.filter(email={FORWARDING!r}).update(forward_to={FORWARDED_TO[0]!r}, forward_keeps_copy=True)\n"
        f"news = MailingList.objects.create(address={NEWS!r}, domain=Domain.objects.get())\n"
        f"for address in {ON_THE_LIST!r}:\n"
        "    ListMember.objects.create(mailing_list=news, address=address)"
    )


def _some_of_each(chance: random.Random) -> tuple[str, ...]:
    return tuple(chance.sample((NOBODY, NEWS, FORWARDING), chance.choice((1, 1, 2, 3))))


@pytest.mark.skipif(not can_inject(), reason="needs strace, and the right to trace")
def test_each_notice_forward_and_list_copy_is_made_once_though_workers_die_while_making_it(
    install: Install, sink: CountingSink, durable_postgres: PostgresServer | None
) -> None:
    mailspool = install()
    mailspool.settings(max_deliveries=IN_FLIGHT)
    _directory(mailspool)
    mailspool.start()
    ledger = Ledger("spawn")
    healthy = mailspool.workers[0]
    healthy.stop()
    faults = some(
        [
            *(kill_at("fsync", number) for number in (1, 2, 6)),
            *(kill_at("rename", number) for number in (1, 3)),
            kill_at("unlink", 2),
            *commits(durable_postgres, (2, 5)),
        ]
    )
    clients = Clients(mailspool, ledger, pause_seconds=0.3, recipients=_some_of_each)
    clients.start()
    deaths, missed = [], []
    for fault in faults:
        mailspool.workers[0] = process_with(mailspool, healthy, fault)
        mailspool.workers[0].start()
        if not dies(mailspool.workers[0]):
            missed.append(str(fault))
        deaths.append(time.time())
        mailspool.workers[0].kill()
    clients.stop()
    mailspool.lapse_leases()
    mailspool.workers[0] = healthy
    healthy.start()
    mailspool.wait_until_empty(60)
    remote = settle(ledger, mailspool, sink)
    print(
        f"{len(faults)} deaths, {len(ledger.acknowledged)} acknowledged: {remote.remote_duplicates} duplicates remote"
    )
    assert not missed, "these faults did not hit"
    assert not remote.unexplained(deaths)
    assert remote.remote_duplicates <= 2 * IN_FLIGHT * len(deaths)
    _assert_made_once(mailspool, ledger)
    assert_nothing_is_left(mailspool, ledger, spawned=True)


def _assert_made_once(mailspool: MailspoolUnderTest, ledger: Ledger) -> None:
    outcomes: Counter[tuple[str, str]] = Counter()
    for test_id, recipients in ledger.acknowledged.items():
        # The duty to each named recipient ends once, by a notice of failure or by sending on.
        outcomes.update((test_id, to) for to in recipients)
        outcomes.update((test_id, to) for to in ON_THE_LIST if NEWS in recipients)
        outcomes.update((test_id, to) for to in FORWARDED_TO if FORWARDING in recipients)
    rows = mailspool.rows("SELECT subject, recipient FROM spool_trace WHERE sender <> ''")
    found = Counter((subject, to) for subject, to in rows if subject in ledger.acknowledged)
    assert found == outcomes
    for address, named in ((SENDER, NOBODY), (ON_THE_LIST[1], NEWS), (FORWARDED_TO[1], FORWARDING)):
        stored = Counter(found_test_id(path) for path in mailspool.maildir(address))
        due = {test_id: 1 for test_id, recipients in ledger.acknowledged.items() if named in recipients}
        assert {test_id: n for test_id, n in stored.items() if test_id in ledger.acknowledged} == due, address
