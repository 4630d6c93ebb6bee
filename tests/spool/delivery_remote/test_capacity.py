"""Connections for mail that can go, beside hosts that accept and say nothing: whatever they are called."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailspool.home import Home
from spool.delivery.remote import capacity, providers, transport
from spool.delivery.remote.client import OutboundConnection, Peer
from spool.delivery.remote.destination import NO_ROOM_REPLY
from spool.delivery.shaping.brakes import Brakes
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


def test_a_new_host_that_answers_waits_for_no_backlog_of_hosts_that_say_nothing(
    peer: SmtpPeer,
    dns: DNSServer,
    spooled: Path,
    sending: Make,
    silent: Callable[[Sequence[str]], SilentHosts],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those have their turns, and lose nothing but time while others wait: their messages spend no attempt by it."""
    monkeypatch.setattr(capacity, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(capacity, "REVIEW_SECONDS", 0.1)
    ips = [f"127.0.2.{number}" for number in range(1, 61)]
    hosts = silent(ips)
    for number, ip in enumerate(ips):
        dns.add(f"x{number}.dead.test", "A", ip)
    new = [f"127.0.3.{number}" for number in range(1, 7)]
    for number, ip in enumerate(new):
        dns.add(f"x{number}.new.test", "A", ip)

    async def send() -> list[float]:
        async with sending(max_remote_deliveries=12, reply_timeout_seconds=60) as here:
            dead = [a_leased_entry(spooled, to=f"a@x{number}.dead.test") for number in range(60)]
            here.put(*dead)
            await asyncio.sleep(0.1)
            found = [await _seconds_for(here, spooled, f"a@x{number}.new.test") for number in range(3)]
            async with asyncio.timeout(20):
                while len(hosts.most) < 60:
                    await asyncio.sleep(0.05)
            # All have had a turn; now there are only those that are slow.
            found += [await _seconds_for(here, spooled, f"a@x{number}.new.test") for number in range(3, 6)]
            assert not any(here.told[entry.id].results for entry in dead)
            await here.transport.close(0.1)
            return found

    with ExitStack() as stack:
        for ip in new:
            stack.enter_context(SmtpPeer(ip, peer.port))
        seconds = asyncio.run(send())
    assert max(seconds) < 1, seconds
    assert hosts.most_in_all <= 9, "a quarter is for hosts that have answered"


def test_a_host_that_is_slow_to_greet_is_set_back_and_gets_its_mail(
    peer: SmtpPeer,
    dns: DNSServer,
    spooled: Path,
    sending: Make,
    silent: Callable[[Sequence[str]], SilentHosts],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capacity, "PROBE_SECONDS", 0.2)
    # A machine that is busy greets late, too.
    monkeypatch.setattr(capacity, "SILENT_SECONDS", 2.0)
    monkeypatch.setattr(capacity, "REVIEW_SECONDS", 0.05)
    set_back: list[str] = []
    do = capacity.Slot.set_back

    def note(slot: capacity.Slot) -> None:
        set_back.append(slot.address.name)
        do(slot)

    monkeypatch.setattr(capacity.Slot, "set_back", note)
    ips = [f"127.0.4.{number}" for number in range(1, 9)]
    silent(ips)
    for number, ip in enumerate(ips):
        dns.add(f"x{number}.dead.test", "A", ip)
    dns.add("slow.test", "A", "127.0.0.76")

    async def send() -> tuple[Outcome, int]:
        async with sending(max_remote_deliveries=4, reply_timeout_seconds=60) as here:
            slow = a_leased_entry(spooled, to="x@slow.test")
            here.put(slow)
            async with asyncio.timeout(20):
                while not host.conversations:
                    await asyncio.sleep(0.001)
                # While it has not greeted, others come.
                here.put(*[a_leased_entry(spooled, to=f"a@x{number}.dead.test") for number in range(8)])
                while not here.told[slow.id].results:
                    await asyncio.sleep(0.02)
            told = here.told[slow.id]
            await here.transport.close(0.1)
            return told.only.outcome, len(told.attempts)

    with SmtpPeer("127.0.0.76", peer.port) as host:
        host.delay_seconds = 0.05
        host.on["CONNECT"] = [HANG, "220 here"]
        assert asyncio.run(send()) == (DELIVERED, 1)
    assert "127.0.0.76" in set_back


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


def test_hosts_that_hang_after_a_message_keep_no_new_host_waiting(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They can't be given up for long; what waits behind them is put off, without an attempt."""
    monkeypatch.setattr(capacity, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(capacity, "REVIEW_SECONDS", 0.05)
    monkeypatch.setattr(capacity, "ASIDE_SHARES", 1)
    ips = [f"127.0.0.{number}" for number in range(100, 112)]
    for number, ip in enumerate(ips):
        dns.add(f"x{number}.dead.test", "A", ip)

    async def send(hosts: Sequence[SmtpPeer]) -> Counter[int]:
        async with sending(max_remote_deliveries=4) as here:
            hanging = [a_leased_entry(spooled, to=f"a@x{number}.dead.test") for number in range(12)]
            here.put(*hanging[:4])
            async with asyncio.timeout(20):
                while sum("DATA" in host.commands for host in hosts) < 4:
                    await asyncio.sleep(0.01)
            await _seconds_for(here, spooled)
            here.put(*hanging[4:])
            async with asyncio.timeout(20):
                while sum(bool(here.told[entry.id].results) for entry in hanging) < 5:
                    await asyncio.sleep(0.05)
                    here.transport.give_up_silent()
            await _seconds_for(here, spooled)
            put_off = [told for told in map(here.told.get, [entry.id for entry in hanging]) if told and told.results]
            assert {told.only.outcome for told in put_off} == {PENDING}
            assert all(told.only.put_off is not None for told in put_off)
            counted = Counter(len(told.attempts) for told in put_off)
            monkeypatch.setattr(capacity, "ASIDE_SECONDS", 0.1)
            here.transport.give_up_silent()
            async with asyncio.timeout(20):
                while sum(bool(here.told[entry.id].results) for entry in hanging) < 9:
                    await asyncio.sleep(0.05)
            # What still hangs is left to itself.
            await here.transport.close(0.1)
            return counted

    with ExitStack() as stack:
        hosts = [stack.enter_context(SmtpPeer(ip, peer.port)) for ip in ips]
        for host in hosts:
            host.on["END"] = HANG
        assert asyncio.run(send(hosts)) == {0: 5}
    assert sum(len(host.conversations) for host in hosts) == 7


def test_who_is_next_has_the_room_of_silent_hosts_and_what_is_put_off_goes_as_soon_as_there_is_room(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "SILENT_SECONDS", 0.2)
    # Nothing gives way by itself.
    monkeypatch.setattr(capacity, "REVIEW_SECONDS", 3600.0)
    monkeypatch.setattr(transport, "TAKE_BACK_SECONDS", 0.05)
    silent = [f"127.0.0.{number}" for number in range(120, 123)]
    alive = [f"127.0.0.{number}" for number in range(130, 138)]
    for number, ip in enumerate(silent):
        dns.add(f"s{number}.dead.test", "A", ip)
    for number, ip in enumerate(alive):
        dns.add(f"a{number}.live.test", "A", ip)
    pulled: list[tuple[Sequence[str], Sequence[str], int]] = []

    async def send() -> list[int]:
        brakes = Brakes(pull=lambda *asked: pulled.append(asked))
        async with sending(max_remote_deliveries=4, brakes=brakes) as here:
            here.put(*(a_leased_entry(spooled, to=f"a@s{number}.dead.test") for number in range(len(silent))))
            async with asyncio.timeout(20):
                while hosts.open.total() < len(silent):
                    await asyncio.sleep(0.01)
            waiting = [a_leased_entry(spooled, to=f"a@a{number}.live.test") for number in range(len(alive))]
            here.put(*waiting)
            async with asyncio.timeout(20):
                while here.transport.remote.free_for_new > -len(alive):
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            assert not pulled
            here.transport.give_up_silent()
            await here.all_told()
            async with asyncio.timeout(20):
                while not pulled:
                    await asyncio.sleep(0.01)
            return [number for number, one in enumerate(waiting) if here.told[one.id].only.outcome is DELIVERED]

    hosts = SilentHosts(silent, peer.port)
    with ExitStack() as stack:
        for ip in alive:
            stack.enter_context(SmtpPeer(ip, peer.port))
        assert asyncio.run(send()) == [0, 1, 2], "as many as were silent"
    hosts.close()
    domains, reasons, room = pulled[0]
    assert (list(domains), list(reasons)) == ([], [NO_ROOM_REPLY]) and 0 < room <= 3


def test_names_of_one_host_share_its_connections(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "TURN", 2)
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


@pytest.mark.parametrize("provider", [False, True])
def test_domains_of_one_site_share_its_limit_over_all_its_addresses(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, home: Home, provider: bool
) -> None:
    """One set of hosts for all, or hosts of each domain's own that are a provider's."""
    ips = [f"127.0.0.{number}" for number in range(81, 85)]
    for number, ip in enumerate(ips):
        dns.add(f"mx{number}.big.test", "A", ip)
    for domain in range(40):
        for number in range(4) if not provider else [domain % 4]:
            dns.add(f"d{domain}.test", "MX", f"10 mx{number}.big.test.")
    (home.root / "providers.txt").write_text("# ours\nbig.test Big\n" if provider else "")
    providers.forget()
    most = 0

    async def send() -> set[Outcome]:
        nonlocal most
        async with sending(max_per_destination=3) as here:
            here.put(*[a_leased_entry(spooled, to=f"x@d{number % 40}.test") for number in range(160)])
            while any(not told.results for told in here.told.values()):
                most = max(most, sum(host.open_now for host in hosts))
                await asyncio.sleep(0.002)
            return {told.only.outcome for told in here.told.values()}

    with ExitStack() as stack:
        hosts = [stack.enter_context(SmtpPeer(ip, peer.port)) for ip in ips]
        for host in hosts:
            host.delay_seconds = 0.002
        assert asyncio.run(send()) == {DELIVERED}
    providers.forget()
    assert 2 <= most <= 3 + 2, "some may still be saying goodbye"


def test_domains_with_one_host_have_an_open_connection_one_after_the_other(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make
) -> None:
    dns.add("mx.big.test", "A", "127.0.0.1")
    for number in range(60):
        dns.add(f"d{number}.test", "MX", "10 mx.big.test.")
    entries = [a_leased_entry(spooled, to=f"x@d{number}.test") for number in range(60)]

    async def send() -> tuple[int, int]:
        async with sending(max_per_destination=2) as here:
            for entry in entries[:10]:
                await here.send(entry)
            alone = len(peer.conversations)
            await here.send(*entries[10:])
            assert all(told.only.outcome is DELIVERED for told in here.told.values())
            at_once = len(peer.conversations)
            # By another name it is another host: it may have to prove that name.
            await here.send(a_leased_entry(spooled, to=BOB))
            return alone, at_once

    assert asyncio.run(send()) == (1, 2)
    assert len(peer.conversations) == 3
    assert len(peer.taken) == 61


def test_many_domains_with_one_host_give_way_to_other_hosts_after_a_turn(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "TURN", 3)
    dns.add("mx.big.test", "A", "127.0.0.86")
    for number in range(40):
        dns.add(f"d{number}.test", "MX", "10 mx.big.test.")

    async def send(big: SmtpPeer) -> int:
        async with sending(max_remote_deliveries=1) as here:
            big.delay_seconds = 0.02
            here.put(*[a_leased_entry(spooled, to=f"x@d{number}.test") for number in range(40)])
            async with asyncio.timeout(10):
                while not big.taken:
                    await asyncio.sleep(0.001)
            await _seconds_for(here, spooled)
            before_us = len(big.taken)
            await here.all_told()
            assert all(told.only.outcome is DELIVERED for told in here.told.values())
            return before_us

    with SmtpPeer("127.0.0.86", peer.port) as big:
        assert asyncio.run(send(big)) < 20
        assert len(big.taken) == 40


def test_who_gives_up_waiting_keeps_nobody_from_a_connection() -> None:
    async def run() -> list[str]:
        room = capacity.Capacity()
        room.configure(1)
        first = await room.slot("a", "one", 1)
        assert first is not None
        waiting = [asyncio.ensure_future(room.slot(name, "one", 1)) for name in ("a", "b", "c")]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[1].cancel()
        await asyncio.sleep(0)
        room.release(first)
        got = await asyncio.wait_for(waiting[2], 1)
        assert got is not None
        last = asyncio.ensure_future(room.slot("a", "two", 1))
        await asyncio.sleep(0)
        last.cancel()
        await asyncio.sleep(0)
        room.release(got)
        again = await asyncio.wait_for(room.slot("d", "two", 1), 1)
        assert again is not None
        room.close()
        return [got.address.name, again.address.name]

    assert asyncio.run(run()) == ["c", "d"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"), st.integers(0, 8)), max_size=60))
def test_no_limit_is_ever_passed_and_nobody_waits_while_there_is_room(steps: list[tuple[str, str, int]]) -> None:
    async def run() -> None:
        now = 0.0
        room = capacity.Capacity(lambda: now)
        room.configure(6)
        tasks: list[asyncio.Task[capacity.Slot | capacity.NoRoom | None]] = []
        held: list[capacity.Slot] = []
        for address, site, step in steps:
            if step < 2:
                tasks.append(asyncio.ensure_future(room.slot(address, site, 2, is_slow=step == 1)))
            elif held and step == 7:
                set_back = held.pop(0)
                set_back.is_set_back = True
                room.release(set_back)
            elif held and step == 8:
                room.doubt(held[0].address)
            elif held and step == 2:
                room.release(held.pop(0))
            elif held and step == 3:
                room.prove(held[0].address)
            elif held and step == 5:
                # It is silent after a message.
                now += 10
                held[-1].connection = OutboundConnection(Peer("mx", "127.0.0.1", 25), "mail.test", 1.0)
                held[-1].connection.body_sent = True
                room.give_up_silent()
            elif step == 6 and room.has_room and (aside := [slot for slot in held if slot.is_aside]):
                room.count_again(aside[0])
            elif tasks and step == 4:
                tasks[len(address + site) % len(tasks)].cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                if not task.cancelled() and isinstance(slot := task.result(), capacity.Slot):
                    held.append(slot)
            assert sum(not slot.is_aside for slot in held) <= 6
            assert sum(slot.is_aside for slot in held) <= 6 * capacity.ASIDE_SHARES
            assert max(Counter(slot.address.name for slot in held).values(), default=0) <= 2
            assert max(Counter(slot.site.name for slot in held).values(), default=0) <= 2
        while held:
            room.release(held.pop(0))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                if not task.cancelled() and isinstance(slot := task.result(), capacity.Slot):
                    held.append(slot)
        assert not tasks, "whoever waited got a turn"
        room.close()

    asyncio.run(run())


def test_hosts_are_a_providers_by_what_their_names_end_with(home: Home) -> None:
    providers.forget()
    assert providers.site_of(["aspmx.l.google.com", "alt1.aspmx.l.google.com"]) == "Google"
    assert providers.site_of(["a-com.mail.protection.outlook.com"]) == "Microsoft 365"
    assert providers.site_of(["notgoogle.com"]) == "notgoogle.com"
    assert providers.site_of(["b.test", "a.test"]) == "a.test b.test"
    assert providers.site_of(["aspmx.l.google.com", "a.test"]) == "a.test aspmx.l.google.com"
    (home.root / "providers.txt").write_text("google.com Other # a remark\n\nnonsense\n")
    providers.forget()
    assert providers.site_of(["aspmx.l.google.com"]) == "Other"
    providers.forget()


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
            assert time.monotonic() - started < 10
            return sum(len(told.results) for told in here.told.values())

    assert asyncio.run(send()) == 0
