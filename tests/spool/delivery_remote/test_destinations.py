"""Connections kept, opened, limited and given up; hosts that are dead, slow to die, or only seem alive."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from base import clock
from spool.delivery.deliveries import Deliveries
from spool.delivery.remote import backoff, destination
from spool.delivery.replies import WAITS_FOR_HOST
from spool.delivery.routes import RoutingTable
from spool.message.envelope import DeliveryReport, LeasedEntry
from spool.models.recipient import Outcome
from spool.models.settings import Settings
from tests.spool.delivery_remote.conftest import BOB, CARL, DOMAIN, Deliver, Sending, a_hop, addresses
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.ports import free_port
from tests.support.smtp_peer import CUT, HANG, SmtpPeer

DELIVERED, BOUNCED, PENDING = Outcome.DELIVERED, Outcome.BOUNCED, Outcome.PENDING
Make = Callable[..., Sending]


class DeadHost:
    """Takes connections and says nothing; counts them."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen(100)
        self._socket.setblocking(False)
        self._taken: list[socket.socket] = []

    def connections(self) -> int:
        while True:
            try:
                self._taken.append(self._socket.accept()[0])
            except BlockingIOError:
                return len(self._taken)

    def close(self) -> None:
        for one in [self._socket, *self._taken]:
            one.close()


@pytest.fixture
def dead(dns: DNSServer, peer: SmtpPeer) -> Iterator[DeadHost]:
    """A silent host at the port of `peer`, the only one of dead.test."""
    host = DeadHost("127.0.0.66", peer.port)
    dns.add("dead.test", "MX", "10 mx.dead.test.")
    dns.add("mx.dead.test", "A", "127.0.0.66")
    yield host
    host.close()


def test_many_messages_go_over_one_kept_connection(peer: SmtpPeer, spooled: Path, sending: Make) -> None:
    async def send() -> None:
        async with sending() as here:
            for _ in range(20):
                await here.send(a_leased_entry(spooled, to=BOB))

    asyncio.run(send())
    assert len(peer.taken) == 20
    assert len(peer.conversations) == 1
    assert peer.commands[-1] == "QUIT"


def test_a_refusal_leaves_the_connection_usable(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    peer.rcpt = {BOB: "550 5.1.1 no"}
    entries = [a_leased_entry(spooled, to=to) for to in (BOB, CARL, BOB, CARL)]
    told = deliver(*entries, max_per_destination=1)
    assert [one.only.outcome for one in told] == [BOUNCED, DELIVERED, BOUNCED, DELIVERED]
    assert len(peer.conversations) == 1
    assert peer.commands.count("RSET") == 2


def test_a_host_that_does_not_know_rset_gets_a_new_connection(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    peer.rcpt = {BOB: "550 5.1.1 no"}
    peer.on["RSET"] = "500 5.5.1 what?"
    told = deliver(a_leased_entry(spooled, to=BOB), a_leased_entry(spooled, to=CARL))
    assert [one.only.outcome for one in told] == [BOUNCED, DELIVERED]
    assert len(peer.conversations) == 2


@pytest.mark.parametrize("goodbye", ["", "421 4.4.2 idle for too long\r\n", "250 2.0.0 what was that?\r\n"])
def test_a_kept_connection_that_went_stale_costs_no_attempt(
    peer: SmtpPeer, spooled: Path, sending: Make, goodbye: str
) -> None:
    async def send() -> list[object]:
        async with sending() as here:
            await here.send(a_leased_entry(spooled, to=BOB))
            peer.say_goodbye(goodbye.encode())
            await asyncio.sleep(0.1)
            [told] = await here.send(a_leased_entry(spooled, to=CARL))
            return [told.only.outcome, len(told.attempts), told.attempts[0].code]

    assert asyncio.run(send()) == [DELIVERED, 1, 250]
    assert len(peer.conversations) == 2


@pytest.mark.parametrize("end", [CUT, "421 4.3.2 enough for one connection"])
def test_a_host_that_ends_after_some_messages_gets_the_others_by_another_connection(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, end: str
) -> None:
    peer.on["MAIL"] = ["250 2.1.0 ok", "250 2.1.0 ok", end, "250 2.1.0 ok"]
    told = deliver(*[a_leased_entry(spooled, to=BOB) for _ in range(4)], max_per_destination=1)
    assert [one.only.outcome for one in told] == [DELIVERED] * 4
    assert [len(one.attempts) for one in told] == [1] * 4
    assert len(peer.conversations) == 2


def test_what_broke_after_the_final_dot_is_never_sent_again_at_once(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    peer.on["END"] = ["250 2.0.0 ok", CUT, "250 2.0.0 ok"]
    told = deliver(*[a_leased_entry(spooled, to=BOB) for _ in range(3)], max_per_destination=1)
    assert [one.only.outcome for one in told] == [DELIVERED, PENDING, DELIVERED]
    assert sum(command == "DATA" for command in peer.commands) == 3


def test_a_dead_host_costs_one_connection_for_all_its_mail(
    peer: SmtpPeer, dead: DeadHost, spooled: Path, deliver: Deliver
) -> None:
    told = deliver(*[a_leased_entry(spooled, to=f"x{n}@dead.test") for n in range(30)], reply_timeout_seconds=1)
    assert {one.only.outcome for one in told} == {PENDING}
    assert {one.only.status_code for one in told} == {"4.4.1"}
    assert all("mx.dead.test [127.0.0.66]: no answer in time" in one.only.reply for one in told)
    assert dead.connections() == 1
    # It was an attempt of the message that it was opened for. The others have not been tried.
    assert [len(one.attempts) for one in told] == [1] + [0] * 29
    assert "mx.dead.test [127.0.0.66]: no answer in time" in told[0].attempts[0].reply
    assert [one.only.put_off is None for one in told] == [True] + [False] * 29


def test_a_dead_host_does_not_slow_others(peer: SmtpPeer, dead: DeadHost, spooled: Path, sending: Make) -> None:
    async def send() -> int:
        async with sending(reply_timeout_seconds=2) as here:
            here.put(*[a_leased_entry(spooled, to=f"x{n}@dead.test") for n in range(50)])
            assert here.transport.parked == 50
            fine = [a_leased_entry(spooled, to=BOB) for _ in range(20)]
            here.put(*fine)
            while any(not here.told[entry.id].results for entry in fine):
                await asyncio.sleep(0.01)
            still_waiting = here.transport.parked
            await here.all_told()
            assert here.transport.parked == 0
            return still_waiting

    assert asyncio.run(send()) == 50


def test_mail_for_a_resting_host_is_put_off_at_once_until_it_is_tried_again(
    peer: SmtpPeer, dead: DeadHost, spooled: Path, deliver: Deliver
) -> None:
    deliver(a_leased_entry(spooled, to="x@dead.test"), reply_timeout_seconds=1, dead_host_seconds=60)
    before = timezone.now()
    started = time.monotonic()
    # Another pass: what is known of hosts stays with the process.
    [told] = deliver(a_leased_entry(spooled, to="y@dead.test"), reply_timeout_seconds=40, dead_host_seconds=60)
    assert time.monotonic() - started < 20
    assert told.only.outcome is PENDING
    assert told.only.reply.startswith(WAITS_FOR_HOST)
    assert "no answer in time" in told.only.reply
    assert told.only.put_off is not None
    assert 30 < (told.only.put_off - before).total_seconds() <= 60
    assert told.attempts == [], "this is no attempt"
    assert dead.connections() == 1


def test_a_host_that_greets_by_taking_no_mail_ends_it(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    peer.on["CONNECT"] = "521 no mail here"
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert (told.only.outcome, told.only.status_code) == (Outcome.BOUNCED, "5.3.2")
    assert "521 no mail here" in told.only.reply
    assert not backoff._rests


def test_a_rest_doubles_up_to_an_hour_and_ends_with_an_answer(
    peer: SmtpPeer, spooled: Path, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.on["CONNECT"] = "421 4.3.2 go away"
    lengths = []
    now = time.monotonic
    ahead = 0.0
    monkeypatch.setattr(backoff.time, "monotonic", lambda: now() + ahead)
    for _ in range(8):
        deliver(a_leased_entry(spooled, to=BOB), dead_host_seconds=60)
        [rest] = backoff._rests.values()
        lengths.append(rest.seconds)
        ahead += rest.seconds
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert len(peer.conversations) == 8
    del peer.on["CONNECT"]
    [told] = deliver(a_leased_entry(spooled, to=BOB), dead_host_seconds=60)
    assert told.only.outcome is DELIVERED
    assert backoff._rests == {}


def test_a_host_that_breaks_every_new_connection_rests_too(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    peer.on["MAIL"] = CUT
    told = deliver(*[a_leased_entry(spooled, to=BOB) for _ in range(20)])
    assert {one.only.outcome for one in told} == {PENDING}
    assert len(peer.conversations) == destination.MOST_BROKEN
    assert sum(len(one.attempts) for one in told) == destination.MOST_BROKEN
    assert sum(one.only.put_off is not None for one in told) == 20 - destination.MOST_BROKEN


def test_a_message_that_a_host_chokes_on_does_not_hold_up_the_others(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    peer.rcpt = {BOB: CUT}
    told = deliver(*[a_leased_entry(spooled, to=to) for to in (BOB, CARL, BOB, CARL, CARL)], max_per_destination=1)
    assert [one.only.outcome for one in told] == [PENDING, DELIVERED, PENDING, DELIVERED, DELIVERED]


def test_the_next_host_is_tried_when_the_first_does_not_answer(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, deliver: Deliver
) -> None:
    dns.add("two.test", "MX", "10 gone.two.test.")
    dns.add("two.test", "MX", "20 busy.two.test.")
    dns.add("two.test", "MX", f"30 mx.{DOMAIN}.")
    dns.add("gone.two.test", "A", "127.0.0.67")
    dns.add("busy.two.test", "A", "127.0.0.68")
    with SmtpPeer("127.0.0.68", peer.port) as busy:
        busy.on["CONNECT"] = "554 5.3.2 not today"
        [told] = deliver(a_leased_entry(spooled, to="x@two.test"))
        assert len(busy.conversations) == 1
    assert told.only.outcome is DELIVERED
    assert told.only.host == f"mx.{DOMAIN}"


def test_a_single_connection_is_opened_until_the_host_has_proved_alive(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    peer.delay_seconds = 0.05

    async def send() -> int:
        async with sending(max_per_destination=5) as here:
            here.put(*[a_leased_entry(spooled, to=BOB) for _ in range(40)])
            await asyncio.sleep(0.1)
            before = peer.most_open
            await here.all_told()
            return before

    assert asyncio.run(send()) == 1
    assert peer.most_open == 5


@pytest.mark.parametrize(("workers", "most"), [(1, 4), (2, 2), (4, 1)])
def test_the_limit_of_a_destination_is_shared_by_the_workers(
    peer: SmtpPeer, spooled: Path, sending: Make, workers: int, most: int
) -> None:
    peer.delay_seconds = 0.02

    async def send() -> None:
        async with sending(workers=workers, max_per_destination=4) as here:
            await here.send(a_leased_entry(spooled, to=BOB))
            await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(30)])

    asyncio.run(send())
    assert peer.most_open == most


def test_a_routes_own_limit_comes_first(peer: SmtpPeer, spooled: Path, sending: Make) -> None:
    peer.delay_seconds = 0.02

    async def send() -> None:
        async with sending(hops={"*": a_hop(port=peer.port, max_connections=2)}) as here:
            await here.send(a_leased_entry(spooled, to=BOB))
            await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(30)])

    asyncio.run(send())
    assert peer.most_open == 2


def test_no_more_connections_are_open_than_all_destinations_may_have(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make
) -> None:
    peer.delay_seconds = 0.02
    for number in range(12):
        dns.add(f"d{number}.test", "MX", f"10 mx.{DOMAIN}.")
    everywhere = [f"x@d{number}.test" for number in range(12)]

    async def send() -> list[Outcome]:
        async with sending(max_remote_deliveries=3) as here:
            first = await here.send(a_leased_entry(spooled, to=everywhere))
            # Now three connections are kept, for others than most of these.
            more = await here.send(*[a_leased_entry(spooled, to=address) for address in everywhere])
            return [result.outcome for told in [*first, *more] for result in told.results]

    assert asyncio.run(send()) == [DELIVERED] * 24
    assert peer.most_open <= 4, "one may still be saying goodbye"


def test_one_of_several_connections_that_fails_leaves_the_queue_to_the_others(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    peer.delay_seconds = 0.02

    async def send() -> list[Outcome]:
        async with sending(max_per_destination=4) as here:
            await here.send(a_leased_entry(spooled, to=BOB))
            peer.on["CONNECT"] = "421 4.7.0 one connection is enough for you"
            told = await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(30)])
            return [one.only.outcome for one in told]

    assert asyncio.run(send()) == [DELIVERED] * 30
    assert len(peer.conversations) > 1


def test_a_message_for_several_resting_hosts_and_a_living_one_is_reported_once_and_whole(
    peer: SmtpPeer, dns: DNSServer, spooled: Path
) -> None:
    """Resting destinations answer while the message is still being handed over."""
    for name in ("r1.test", "r2.test"):
        dns.add(name, "A", "127.0.0.67")
    reports: list[DeliveryReport] = []

    async def send() -> None:
        deliveries = Deliveries(reports.append, lambda entry, text: pytest.fail(text), pytest.fail)
        deliveries._transport.exchangers = type(deliveries._transport.exchangers)("mail.test", dns.address)
        deliveries.configure(
            Settings(private_hosts=True, smtp_out_port=peer.port, connect_timeout_seconds=1), RoutingTable()
        )
        deliveries.start([a_leased_entry(spooled, to=["x@r1.test", "x@r2.test"])])
        async with asyncio.timeout(10):
            while not reports:
                await asyncio.sleep(0.01)
            deliveries.start([a_leased_entry(spooled, to=["y@r1.test", "y@r2.test", BOB])])
            deliveries.start([a_leased_entry(spooled, to=["z@r1.test"])])
            while len(reports) < 3:
                await asyncio.sleep(0.01)
        await deliveries.close(5)

    asyncio.run(send())
    outcomes = [{r.recipient.address: r.outcome for r in report.results} for report in reports]
    assert {BOB: DELIVERED, "y@r1.test": PENDING, "y@r2.test": PENDING} in outcomes
    assert {"z@r1.test": PENDING} in outcomes


def test_mail_that_waits_for_its_turn_is_left_alone_by_a_stop(peer: SmtpPeer, spooled: Path, dns: DNSServer) -> None:
    """It must not count as an attempt; the pass gives it back, and the next worker takes it at once."""
    peer.on["END"] = HANG
    reports: list[DeliveryReport] = []

    async def send() -> None:
        deliveries = Deliveries(reports.append, lambda entry, text: pytest.fail(text), pytest.fail)
        deliveries._transport.exchangers = type(deliveries._transport.exchangers)("mail.test", dns.address)
        deliveries.configure(Settings(private_hosts=True, smtp_out_port=peer.port), RoutingTable())
        deliveries.start([a_leased_entry(spooled, to=BOB) for _ in range(5)])
        async with asyncio.timeout(10):
            while "DATA" not in peer.commands:
                await asyncio.sleep(0.01)
        await deliveries.close(0.2)

    asyncio.run(send())
    assert reports == []


def test_what_was_delivered_before_a_stop_is_reported_and_the_rest_waits(
    peer: SmtpPeer, spooled: Path, dns: DNSServer
) -> None:
    dns.add("slow.test", "A", "127.0.0.73")
    reports: list[DeliveryReport] = []

    async def send() -> None:
        deliveries = Deliveries(reports.append, lambda entry, text: pytest.fail(text), pytest.fail)
        deliveries._transport.exchangers = type(deliveries._transport.exchangers)("mail.test", dns.address)
        deliveries.configure(Settings(private_hosts=True, smtp_out_port=peer.port), RoutingTable())
        deliveries.start([a_leased_entry(spooled, to=[BOB, "x@slow.test"])])
        async with asyncio.timeout(10):
            while not peer.taken or not slow.commands:
                await asyncio.sleep(0.01)
        await deliveries.close(0.2)

    with SmtpPeer("127.0.0.73", peer.port) as slow:
        slow.on["MAIL"] = HANG
        asyncio.run(send())
    [report] = reports
    outcomes = {result.recipient.address: result.outcome for result in report.results}
    assert outcomes == {BOB: DELIVERED, "x@slow.test": PENDING}


def test_an_entry_whose_lease_lapsed_is_left_or_reported_with_what_was_done(
    peer: SmtpPeer, spooled: Path, dns: DNSServer
) -> None:
    dns.add("slow.test", "A", "127.0.0.73")
    reports: list[DeliveryReport] = []
    left: list[LeasedEntry] = []

    async def send() -> None:
        deliveries = Deliveries(reports.append, lambda entry, text: pytest.fail(text), left.append)
        deliveries._transport.exchangers = type(deliveries._transport.exchangers)("mail.test", dns.address)
        deliveries.configure(Settings(private_hosts=True, smtp_out_port=peer.port), RoutingTable())
        both, none = (a_leased_entry(spooled, to=to) for to in ([BOB, "x@slow.test"], ["y@slow.test", "z@slow.test"]))
        deliveries.start([both, none])
        async with asyncio.timeout(10):
            while not peer.taken or not slow.commands:
                await asyncio.sleep(0.01)
            both.held_until = none.held_until = clock.steady() - 1
            while not reports or not left:
                await asyncio.sleep(0.01)
        await deliveries.close(1)
        assert left == [none]

    with SmtpPeer("127.0.0.73", peer.port) as slow:
        slow.delay_seconds = 0.3
        asyncio.run(send())
    [report] = reports
    outcomes = {result.recipient.address: result.outcome for result in report.results}
    assert outcomes == {BOB: DELIVERED, "x@slow.test": PENDING}
    assert not slow.taken


def test_a_connection_without_work_is_given_up_with_a_goodbye(
    peer: SmtpPeer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "IDLE_SECONDS", 0.1)

    async def send() -> int:
        async with sending() as here:
            await here.send(a_leased_entry(spooled, to=BOB))
            await asyncio.sleep(0.4)
            said = list(peer.commands)
            await here.send(a_leased_entry(spooled, to=BOB))
            return said.count("QUIT")

    assert asyncio.run(send()) == 1
    assert len(peer.conversations) == 2


def test_destinations_that_are_not_in_use_are_forgotten(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "IDLE_SECONDS", 0.0)

    async def send() -> int:
        async with sending() as here:
            here.transport._tidy_at = 10
            for number in range(40):
                await here.send(a_leased_entry(spooled, to=f"x@no{number}.test"))
            return len(here.transport._destinations)

    monkeypatch.setattr("spool.delivery.remote.transport.MANY_DESTINATIONS", 10)
    assert asyncio.run(send()) <= 20


def test_a_port_where_nobody_listens_is_said_in_plain_words(dns: DNSServer, spooled: Path, deliver: Deliver) -> None:
    dns.add(DOMAIN, "A", "127.0.0.1")
    [told] = deliver(a_leased_entry(spooled, to=list(addresses(3))), smtp_out_port=free_port())
    assert set(told.outcomes.values()) == {PENDING}
    assert told.attempts[0].reply.startswith(f"connecting to {DOMAIN} [127.0.0.1]:")
