"""Keys that follow each other while mail goes out: no receiver finds a bad signature, whenever it looks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import dkim
import dns.message
import dns.query
import pytest
from django.utils import timezone

from base.name_servers import NameServers
from spool.flow import intake
from spool.models import DkimKey, KeyAlgorithm, KeyState
from spool.models.recipient import Kind
from spool.signing import lifecycle, ring
from tests.spool.passing import ANN, FAR, HERE, Spool
from tests.support.dns import DNSServer, in_pieces
from tests.support.messages import a_submission

pytestmark = pytest.mark.long
HOURS: Final = 20
# How long the administrators take, and how far the second name server lags behind the first one.
SLOWEST_HOURS, LAG = 60, timedelta(hours=24)
DAYS_OF_A_KEY: Final = 15
# For so long mail waits here, or at a relay behind us; messages expire after five days.
WAITS: Final = timedelta(days=4, hours=20)


class World:
    """Two name servers whose records are put there by slow people, and receivers that ask both."""

    def __init__(self, spool: Spool, second: DNSServer) -> None:
        self.spool = spool
        self.servers = (spool.dns, second)
        self._chance = random.Random(6376)
        self._to_do: list[tuple[datetime, int, str, str]] = []
        self._asked_for: dict[str, str] = {}
        self.checked = 0

    def administrators(self, now: datetime) -> None:
        """Put there, some time later, what the page says now; take out what it says is revoked."""
        for key in DkimKey.objects.all():
            wanted = "" if key.state == KeyState.REVOKED else key.record
            if self._asked_for.get(key.name, "") != wanted:
                self._asked_for[key.name] = wanted
                at = now + timedelta(hours=self._chance.randrange(SLOWEST_HOURS))
                # What is to be gone may be gone at once.
                self._to_do += [(at + LAG * number if wanted else now, number, key.name, wanted) for number in (0, 1)]
        for one in [one for one in self._to_do if one[0] <= now]:
            self._to_do.remove(one)
            _, number, name, record = one
            self.servers[number].clear(name)
            if record:
                self.servers[number].add(name, "TXT", in_pieces(record))

    def verify(self, message: bytes) -> None:
        """As a receiver does now, by either name server."""
        for server in self.servers:

            def record(name: bytes, timeout: int = 5, server: DNSServer = server) -> bytes:
                host, _, port = server.address.partition(":")
                answer = dns.query.udp(dns.message.make_query(name.decode(), "TXT"), host, 5, port=int(port))
                return b"".join(answer.answer[0][0].strings) if answer.answer else b""

            signatures = message.partition(b"\r\n\r\n")[0].count(b"DKIM-Signature:")
            for number in range(signatures):
                assert dkim.DKIM(message).verify(idx=number, dnsfunc=record), message.partition(b"bh=")[0].decode()
                self.checked += 1


@pytest.fixture
def world(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    ring.forget()
    with DNSServer("127.0.0.2", spool.dns.port) as second:
        for server in (spool.dns, second):
            server.add(HERE, "SOA", f"ns1.{HERE}. root.{HERE}. 1 3600 600 86400 60")
            server.add(HERE, "NS", f"ns1.{HERE}.")
            server.add(HERE, "NS", f"ns2.{HERE}.")
            server.add(f"ns1.{HERE}", "A", "127.0.0.1")
            server.add(f"ns2.{HERE}", "A", "127.0.0.2")
        monkeypatch.setattr(lifecycle, "servers_of_domains", lambda: NameServers(spool.dns.address, spool.dns.port))
        spool.settings(dkim_rotation_days=DAYS_OF_A_KEY, expire_after_hours=120)
        yield World(spool, second)
    ring.forget()


def send(to: str) -> None:
    content = f"From: {ANN}\r\nTo: {to}\r\nSubject: Lunch\r\n\r\nHello\r\n".encode()
    submission = a_submission(ANN, to, Kind.REMOTE, content=content)
    submission.envelope.auth_user, submission.envelope.ours = ANN, None
    intake.accept([submission])


def test_through_two_rotations_no_signature_is_bad_when_mail_arrives_nor_days_later(world: World) -> None:
    spool, number = world.spool, 0
    for algorithm in KeyAlgorithm.values:
        lifecycle.make(HERE, algorithm, timezone.now())
    # Of what a relay behind us holds, and of what waits here.
    held: list[tuple[datetime, bytes]] = []
    waiting: list[tuple[datetime, str]] = []
    seen, unsigned = 0, 0
    ends = timezone.now() + timedelta(days=3 * DAYS_OF_A_KEY + 15)
    while (now := timezone.now()) < ends:
        world.administrators(now)
        DkimKey.objects.exclude(state=KeyState.REVOKED).update(checked=None)
        lifecycle.look_at_due(now)
        lifecycle.tidy(now)
        ring.forget()
        number += 1
        send(f"bob@{FAR}")
        if number % 2:
            late = f"late{number}@{FAR}"
            spool.peer.rcpt[late] = "451 4.2.0 later"
            waiting.append((now + WAITS, late))
            send(late)
        while waiting and waiting[0][0] <= now:
            del spool.peer.rcpt[waiting.pop(0)[1]]
        spool.work()
        for taken in spool.peer.taken[seen:]:
            world.verify(taken.content)
            held.append((now + WAITS, taken.content))
            unsigned += b"DKIM-Signature:" not in taken.content
        seen = len(spool.peer.taken)
        while held and held[0][0] <= now:
            world.verify(held.pop(0)[1])
        spool.later(hours=HOURS)
    states = {name: DkimKey.objects.filter(algorithm=name).exclude(active=None).count() for name in KeyAlgorithm.values}
    assert min(states.values()) >= 3, "there were two rotations"
    assert DkimKey.objects.filter(state=KeyState.REVOKED).count() >= 4
    # Before the first key's record is everywhere nothing is signed, and from then on everything.
    assert unsigned <= (SLOWEST_HOURS + 72) * 3 // HOURS
    assert sum(one.recipients[0].startswith("late") for one in spool.peer.taken) > number // 3
    assert world.checked > 4 * len(spool.peer.taken)
