"""Other mail, for here and elsewhere, beside many notices to a host that accepts and says nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.crash.conftest import Install
from tests.crash.ledger import LOCAL
from tests.support.dns import DNSServer
from tests.support.loopback_server import LoopbackServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.smtp_peer import SmtpPeer
from tests.support.waiting import wait_until

ADDRESS = "127.0.0.67"
# Of deliveries at once; ten times as many entries may be in work at most.
AT_ONCE = 10
NOTICES = 20 * AT_ONCE
LIVE_ADDRESS = "127.0.0.68"
REMOTE = 30


class Tarpit(LoopbackServer):
    """Takes connections, greets, answers EHLO, and is silent from then on."""

    mailed = now = most = 0

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for client in self.there:
            client.close()

    def answer(self, client: socket.socket) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            client.sendall(b"220 tar ESMTP\r\n")
            if client.recv(4096):
                client.sendall(b"250 tar\r\n")
            while client.recv(4096):
                self.mailed += 1
        except OSError:
            return
        finally:
            self.now -= 1


def _has(mailspool: MailspoolUnderTest, address: str, number: int) -> bool:
    return len(mailspool.maildir(address)) == number


@pytest.fixture
def tarpit() -> Iterator[Tarpit]:
    with Tarpit(ADDRESS) as pit:
        yield pit


def test_notices_to_hosts_that_say_nothing_hold_up_no_other_mail(
    install: Install, dns: DNSServer, tarpit: Tarpit
) -> None:
    """All names lead to one address: as the owner of one machine and one domain can have it."""
    with SmtpPeer(LIVE_ADDRESS, tarpit.port) as live:
        _notices_hold_up_no_other_mail(install, dns, tarpit, live)


def _notices_hold_up_no_other_mail(install: Install, dns: DNSServer, tarpit: Tarpit, live: SmtpPeer) -> None:
    ann, bob = LOCAL[:2]
    mailspool = install()
    mailspool.settings(max_deliveries=AT_ONCE, smtp_out_port=tarpit.port)
    for number in range(NOTICES):
        dns.add(f"x{number}.evil.test", "A", ADDRESS)
    mailspool.start()
    with mailspool.smtp() as client:
        client.ehlo()
        for number in range(NOTICES):
            client.mail(f"a@x{number}.evil.test")
            assert client.rcpt(ann, ["NOTIFY=SUCCESS"])[0] == 250
            assert client.data(a_message(to=ann, sender=f"a@x{number}.evil.test"))[0] == 250
    wait_until(lambda: len(mailspool.maildir(ann)) == NOTICES, "all were delivered", 60)
    wait_until(lambda: tarpit.mailed, "a notice is on its way", 60)
    # Results are committed a moment after the files are there; a notice that had come to an end would be missing.
    wait_until(lambda: mailspool.count("spool_entry WHERE origin = 'dsn'") == NOTICES, "all notices wait", 60)
    waited = []
    for number in range(1, 6):
        mailspool.send(ann, bob, a_message(to=bob, sender=ann))
        sent = time.monotonic()
        wait_until(partial(_has, mailspool, bob, number), "local mail arrives", 20)
        waited.append(time.monotonic() - sent)
    assert sorted(waited)[2] < 2
    for number in range(REMOTE):
        to = f"x@d{number}.live.test"
        dns.add(f"d{number}.live.test", "A", LIVE_ADDRESS)
        mailspool.send(ann, to, a_message(to=to, sender=ann))
    wait_until(lambda: len(live.taken) == REMOTE, "so does mail for other hosts, which nobody knew before", 10)
    assert tarpit.most == 1, "whatever it is called"
    assert mailspool.count("spool_entry WHERE origin = 'dsn'") == NOTICES, "and they are all still there"
    assert mailspool.count("spool_entry WHERE leased_by <> ''") <= AT_ONCE
    assert mailspool.errors_logged() == []
