"""Two machines: two homes with one PostgreSQL and one Redis.

One takes mail in, the other delivers it, also when the first has died.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.crash.conftest import DATABASE, Install, Pair
from tests.crash.ledger import LOCAL, REMOTE, SENDER, Clients, Ledger, settle
from tests.crash.remains import assert_one_outcome_each
from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.postgresql

IN_FLIGHT = 20


@pytest.fixture
def gone_over(install: Install, dns: DNSServer) -> Iterator[Callable[[MailspoolUnderTest], MailspoolUnderTest]]:
    """A machine after its MAILSPOOL_STORE was set to database."""
    made: list[MailspoolUnderTest] = []

    def gone_over(machine: MailspoolUnderTest) -> MailspoolUnderTest:
        env = {"MAILSPOOL_MACHINE": machine.env["MAILSPOOL_MACHINE"], **DATABASE}
        made.append(MailspoolUnderTest(machine.folder, dns=dns.address, env=env, beside=machine))
        return made[-1]

    yield gone_over
    for machine in made:
        machine.kill()


@pytest.mark.parametrize(
    ("env", "shared"),
    [
        pytest.param(DATABASE, (), id="database"),
        pytest.param({}, ("spool", "quarantine"), id="shared folder", marks=pytest.mark.long),
    ],
)
def test_what_one_machine_took_in_is_delivered_by_another_after_it_died(
    pair: Pair, sink: CountingSink, env: dict[str, str], shared: tuple[str, ...]
) -> None:
    first, second = pair(env, *shared)
    first.settings(max_deliveries=IN_FLIGHT)
    second.manage("check", "--mark")
    first.start()
    second.start()
    ledger = Ledger("machines")
    clients = Clients(first, ledger, 60, pause_seconds=0.02)
    clients.start()
    wait_until(lambda: len(ledger.acknowledged) >= 40, "mail flows", 60)
    first.kill_programs()
    clients.stop()
    for recipients in (LOCAL, REMOTE):
        second.send(SENDER, recipients, a_message(recipients, SENDER, subject="after", test_id="machines-after"))
    # Leases of the dead lapse by themselves, within half a minute.
    second.wait_until_empty(90)
    account = settle(ledger, second, sink)
    print(f"{len(ledger.acknowledged)} acknowledged: {account}")
    assert not account.lost
    assert account.local_duplicates == 0
    assert account.remote_duplicates <= 3 * IN_FLIGHT
    assert_one_outcome_each(second, ledger)
    if not shared:
        assert first.message_files() == second.message_files() == []
    assert second.count("spool_content") == second.count("spool_contentpart") == 0


def test_a_machine_without_the_files_of_the_others_takes_what_is_in_the_database_alone(
    pair: Pair, sink: CountingSink, gone_over: Callable[[MailspoolUnderTest], MailspoolUnderTest]
) -> None:
    """While an installation goes over from files: nothing is tried where it can't be read."""
    first, second = pair({"MAILSPOOL_INLINE_KB": "0"})
    first.redis.start()
    first.listeners[0].start()
    first.wait_for_listener()
    first.send(SENDER, REMOTE[0], a_message(REMOTE[0], SENDER, test_id="old-1"))
    refused = second.manage("check", "--mark").stdout
    assert "MAILSPOOL_STORE=database" in refused and str(first.home) in refused
    first.kill_programs()
    first, second = gone_over(first), gone_over(second)
    second.start()
    second.send(SENDER, REMOTE[0], a_message(REMOTE[0], SENDER, test_id="new-1", size=700_000))
    wait_until(lambda: [receipt.test_id for receipt in sink.receipts()] == ["new-1"], "the new one is there", 60)
    untouched = [(0, "")]
    # What became of the new one is recorded a moment after the sink has it.
    wait_until(
        lambda: second.rows("SELECT attempts, leased_by FROM spool_entry") == untouched, "the old one is left", 30
    )
    assert "1 messages" in first.manage("spool", "relocate").stdout
    assert first.message_files() == []
    wait_until(lambda: len(sink.receipts()) == 2, "the old one is there", 60)
