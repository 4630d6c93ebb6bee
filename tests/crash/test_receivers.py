"""What was learned of receivers is there after every process was killed: limits, and hosts that rest."""

from __future__ import annotations

from tests.crash.conftest import Install
from tests.crash.ledger import LOCAL
from tests.support.dns import DNSServer
from tests.support.messages import a_message
from tests.support.smtp_peer import SmtpPeer
from tests.support.waiting import wait_until

DEAD_IP, STRICT_IP = "127.0.0.91", "127.0.0.92"
MESSAGES = 6
_SLOWED = "spool_entry WHERE last_error LIKE 'slowed: %' AND attempts = 0"
_PUT_OFF = "spool_entry WHERE last_error LIKE 'waits until its host%' AND attempts = 0"


def test_limits_and_rests_are_there_after_everything_was_killed(
    install: Install, dns: DNSServer, sink_port: int
) -> None:
    [ann] = LOCAL[:1]
    dns.add("dead.test", "A", DEAD_IP)
    dns.add("strict.test", "A", STRICT_IP)
    mailspool = install()
    mailspool.settings(dead_host_seconds=600)

    def send(domain: str) -> None:
        to = f"bob@{domain}"
        mailspool.send(ann, to, a_message(to=to, sender=ann))

    with SmtpPeer(STRICT_IP, sink_port) as strict:
        strict.on["MAIL"] = "421 4.7.28 unusual rate of mail from your address, temporarily rate limited"
        mailspool.start()
        send("dead.test")
        send("strict.test")
        wait_until(lambda: mailspool.count("spool_restinghost"), "the dead host rests", 30)
        wait_until(lambda: mailspool.count("spool_destination WHERE rate IS NOT NULL"), "the strict one is slowed", 30)
        for daemon in mailspool.daemons:
            daemon.kill()
        mailspool.redis.kill()
        asked = len(strict.conversations)
        with SmtpPeer(DEAD_IP, sink_port) as alive:
            mailspool.start()
            for _ in range(MESSAGES):
                send("dead.test")
                send("strict.test")
            wait_until(lambda: mailspool.count(_PUT_OFF) == MESSAGES, "all wait for the dead host", 30)
            wait_until(lambda: mailspool.count(_SLOWED) >= MESSAGES - 2, "nearly all wait for their turn", 30)
            assert alive.conversations == []
        assert len(strict.conversations) - asked <= 2
