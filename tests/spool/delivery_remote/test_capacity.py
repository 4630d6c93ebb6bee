"""Connections for mail that can go, beside hosts that accept and say nothing: whatever they are called."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from spool.delivery.remote import capacity, destination
from spool.models.recipient import Outcome
from tests.spool.delivery_remote.conftest import BOB, Sending
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import HANG, SmtpPeer

DELIVERED, PENDING = Outcome.DELIVERED, Outcome.PENDING
Make = Callable[..., Sending]
SILENT_IP = "127.0.0.66"


class SilentHosts:
    """Take connections and never say a word; remember how many were open at once, to each address."""

    def __init__(self, addresses: Sequence[str], port: int) -> None:
        self.most: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.most_in_all = 0
        self._selector = selectors.DefaultSelector()
        for address in addresses:
            listening = socket.create_server((address, port), backlog=500)
            listening.setblocking(False)
            self._selector.register(listening, selectors.EVENT_READ, address)
        self._ends = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ends:
            for key, _ in self._selector.select(0.05):
                sock, address = key.fileobj, key.data
                assert isinstance(sock, socket.socket)
                if sock.getsockname()[1] and _is_listening(sock):
                    client, _ = sock.accept()
                    client.setblocking(False)
                    self._selector.register(client, selectors.EVENT_READ, address)
                    self.open[address] += 1
                    self.most[address] = max(self.most[address], self.open[address])
                    self.most_in_all = max(self.most_in_all, self.open.total())
                elif not _received(sock):
                    self._selector.unregister(sock)
                    sock.close()
                    self.open[address] -= 1

    def close(self) -> None:
        self._ends = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


def _is_listening(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(4096)
    except OSError:
        return b""


@pytest.fixture
def silent(peer: SmtpPeer) -> Iterator[Callable[[Sequence[str]], SilentHosts]]:
    """Make silent hosts at the port of `peer`."""
    made: list[SilentHosts] = []

    def make(addresses: Sequence[str]) -> SilentHosts:
        made.append(SilentHosts(addresses, peer.port))
        return made[-1]

    yield make
    for hosts in made:
        hosts.close()


async def _seconds_for(here: Sending, spooled: Path, address: str = BOB) -> float:
    """How long a message takes that comes now."""
    entry = a_leased_entry(spooled, to=address)
    started = time.monotonic()
    here.put(entry)
    async with asyncio.timeout(30):
        while not here.told[entry.id].results:
            await asyncio.sleep(0.005)
    assert here.told[entry.id].only.outcome is DELIVERED
    return time.monotonic() - started


def test_a_silent_host_has_one_connection_whatever_it_is_called(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, silent: Callable[[Sequence[str]], SilentHosts]
) -> None:
    host = silent([SILENT_IP])
    for number in range(60):
        dns.add(f"x{number}.evil.test", "MX", f"10 mx{number}.evil.test.")
        dns.add(f"mx{number}.evil.test", "A", SILENT_IP)

    async def send() -> float:
        async with sending(max_remote_deliveries=10, reply_timeout_seconds=60) as here:
            here.put(*[a_leased_entry(spooled, to=f"a@x{number}.evil.test") for number in range(60)])
            await asyncio.sleep(0.5)
            assert here.transport.parked == 60
            return max([await _seconds_for(here, spooled) for _ in range(5)])

    assert asyncio.run(send()) < 2
    assert host.most == {SILENT_IP: 1}


def test_when_one_name_of_a_silent_host_has_failed_the_others_need_no_connection(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, silent: Callable[[Sequence[str]], SilentHosts]
) -> None:
    host = silent([SILENT_IP])
    for number in range(30):
        dns.add(f"x{number}.evil.test", "A", SILENT_IP)

    async def send() -> set[Outcome]:
        async with sending(reply_timeout_seconds=1) as here:
            told = await here.send(*[a_leased_entry(spooled, to=f"a@x{number}.evil.test") for number in range(30)])
            return {one.only.outcome for one in told}

    started = time.monotonic()
    assert asyncio.run(send()) == {PENDING}
    assert time.monotonic() - started < 5, "all of them learned it from the one"
    assert host.most == {SILENT_IP: 1}


def test_many_silent_hosts_give_way_to_mail_that_can_go(
    peer: SmtpPeer,
    dns: DNSServer,
    spooled: Path,
    sending: Make,
    silent: Callable[[Sequence[str]], SilentHosts],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each at an address of its own: for a moment they have all connections but those of hosts that have answered."""
    monkeypatch.setattr(capacity, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(capacity, "REVIEW_SECONDS", 0.1)
    ips = [f"127.0.1.{number}" for number in range(1, 61)]
    hosts = silent(ips)
    for number, ip in enumerate(ips):
        dns.add(f"x{number}.dead.test", "A", ip)
    dns.add("new.test", "A", "127.0.0.75")

    async def send() -> tuple[float, float]:
        async with sending(max_remote_deliveries=12, reply_timeout_seconds=60) as here:
            before = await _seconds_for(here, spooled)
            here.put(*[a_leased_entry(spooled, to=f"a@x{number}.dead.test") for number in range(60)])
            await asyncio.sleep(0.1)
            known = max([before, *[await _seconds_for(here, spooled) for _ in range(5)]])
            async with asyncio.timeout(12):
                # Who waits for nobody's room may be silent for as long as the settings say.
                while sum(not told.results for told in here.told.values()) > 9:
                    await asyncio.sleep(0.05)
            return known, await _seconds_for(here, spooled, "x@new.test")

    with SmtpPeer("127.0.0.75", peer.port):
        known, new = asyncio.run(send())
    assert known < 1 and new < 2
    assert hosts.most_in_all <= 9, "a quarter is for hosts that have answered"


def test_silence_after_the_message_was_sent_is_no_reason_to_give_up(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be sent again."""
    monkeypatch.setattr(capacity, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(capacity, "REVIEW_SECONDS", 0.1)
    dns.add("slow.test", "A", "127.0.0.73")
    for number in range(4):
        dns.add(f"x{number}.dead.test", "A", "127.0.0.1")

    async def send() -> list[Outcome]:
        async with sending(max_remote_deliveries=1) as here:
            slow, other = a_leased_entry(spooled, to="x@slow.test"), a_leased_entry(spooled, to=BOB)
            here.put(slow)
            async with asyncio.timeout(10):
                while not any("DATA" in command for command in host.commands):
                    await asyncio.sleep(0.01)
            here.put(other)
            await here.all_told()
            return [here.told[entry.id].only.outcome for entry in (slow, other)]

    with SmtpPeer("127.0.0.73", peer.port) as host:
        host.on["END"] = ["250 2.0.0 at last"]
        host.delay_seconds = 0.5
        assert asyncio.run(send()) == [DELIVERED, DELIVERED]
        assert len(host.taken) == 1


def test_names_of_one_host_share_its_connections(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "TURN", 2)
    peer.delay_seconds = 0.01
    for number in range(40):
        dns.add(f"d{number}.test", "MX", f"10 mx{number}.test.")
        dns.add(f"mx{number}.test", "A", "127.0.0.1")

    async def send() -> set[Outcome]:
        async with sending(max_per_destination=3) as here:
            entries = [a_leased_entry(spooled, to=f"x@d{number % 40}.test") for number in range(120)]
            return {told.only.outcome for told in await here.send(*entries)}

    assert asyncio.run(send()) == {DELIVERED}
    assert peer.most_open <= 3 + 1, "one may still be saying goodbye"


def test_a_mail_store_waits_for_no_connection_to_others(
    peer: SmtpPeer,
    dns: DNSServer,
    spooled: Path,
    sending: Make,
    silent: Callable[[Sequence[str]], SilentHosts],
) -> None:
    ips = [f"127.0.1.{number}" for number in range(1, 9)]
    silent(ips)
    for number, ip in enumerate(ips):
        dns.add(f"x{number}.dead.test", "A", ip)

    async def send(store: SmtpPeer) -> float:
        address = f"127.0.0.1:{store.port}"
        async with sending(max_remote_deliveries=2, reply_timeout_seconds=60, lmtp_address=address) as here:
            here.put(*[a_leased_entry(spooled, to=f"a@x{number}.dead.test") for number in range(8)])
            await asyncio.sleep(0.3)
            entry = a_leased_entry(spooled, to="ann@here.test")
            started = time.monotonic()
            here.put(entry, lmtp=True)
            while not here.told[entry.id].results:
                await asyncio.sleep(0.01)
            return time.monotonic() - started

    with SmtpPeer(lmtp=True) as store:
        assert asyncio.run(send(store)) < 2


def test_lookups_that_hang_hold_no_connection(peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make) -> None:
    async def send() -> float:
        async with sending(max_remote_deliveries=2) as here:
            await _seconds_for(here, spooled)
            for number in range(10):
                dns.fail(f"x{number}.silent.test", "DROP")
            here.put(*[a_leased_entry(spooled, to=f"a@x{number}.silent.test") for number in range(10)])
            await asyncio.sleep(0.2)
            return await _seconds_for(here, spooled)

    assert asyncio.run(send()) < 1


def test_a_stop_leaves_nobody_waiting_for_room(peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make) -> None:
    peer.on["END"] = HANG
    dns.add("other.test", "A", "127.0.0.75")

    async def send() -> int:
        async with sending(max_remote_deliveries=1) as here:
            here.put(a_leased_entry(spooled, to=BOB), a_leased_entry(spooled, to="x@other.test"))
            async with asyncio.timeout(10):
                while "DATA" not in peer.commands:
                    await asyncio.sleep(0.01)
            started = time.monotonic()
            await here.transport.close(0.3)
            assert time.monotonic() - started < 3
            return sum(len(told.results) for told in here.told.values())

    assert asyncio.run(send()) == 0
