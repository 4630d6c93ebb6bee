"""Receivers that take only so much, so many connections, or nothing from our address: by the real transport."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spool.delivery.replies import Reply
from spool.delivery.shaping import brakes as brakes_module
from spool.delivery.shaping import destinations, domains, limits, meter
from spool.delivery.shaping.brakes import SLOWED, SUSPENDED, Brakes, Progress, SiteBrake
from spool.delivery.shaping.classes import ReplyClass
from spool.delivery.shaping.limits import About, Key, Limits, Report, Table
from spool.delivery.shaping.pace import Pace, Timing
from spool.message.envelope import LeasedEntry
from spool.models.destination import Destination, DestinationDomain
from spool.models.entry import Priority
from spool.models.recipient import Outcome
from spool.rows import statements
from tests.spool.delivery_remote.conftest import BOB, DOMAIN, Sending, Told
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import Answer, SmtpPeer

DELIVERED, BOUNCED, PENDING = Outcome.DELIVERED, Outcome.BOUNCED, Outcome.PENDING
Make = Callable[..., Sending]
MX = f"mx.{DOMAIN}"
TOO_FAST = "421 4.7.28 unusual rate of mail from your address, temporarily rate limited"
TOO_MANY = "421 4.7.0 too many connections from your address"
LISTED = "554 5.7.1 your address 192.0.2.1 is blocked using a block list"
# A minute takes three seconds.
FAST = Timing(cohort=0.5, pause=0.05, longest_pause=3.0, hold=3.0)


class PickyPeer(SmtpPeer):
    """Takes `limit` messages in `window` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        super().__init__()
        self.limit, self.window = limit, window
        self.took: list[float] = []
        self.refused: list[float] = []
        self._recent: deque[float] = deque()

    def next_answer(self, stage: str) -> Answer:
        if stage != "MAIL":
            return super().next_answer(stage)
        with self._lock:
            now = time.monotonic()
            while self._recent and self._recent[0] <= now - self.window:
                self._recent.popleft()
            if len(self._recent) >= self.limit:
                self.refused.append(now)
                return TOO_FAST
            self._recent.append(now)
            self.took.append(now)
            return "250 2.1.0 ok"


def _table(**learned: object) -> Table:
    return Table({Key(MX): Limits(Pace(**learned))})  # type: ignore[arg-type]


async def _flood(here: Sending, spooled: Path, seconds: float) -> None:
    """A spool that never ends: what has a result is there again."""
    entries = [a_leased_entry(spooled, to=BOB) for _ in range(60)]
    here.put(*entries)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.02)
        again = [entry for entry in entries if here.told[entry.id].results]
        for entry in again:
            entry.recipients = [result.recipient for result in here.told[entry.id].results]
        here.put(*again)


def _flooded(
    peer: PickyPeer, sending: Make, spooled: Path, timing: Timing, seconds: float, after: float
) -> tuple[float, float]:
    """The parts of what it takes that it took after a while, and that it refused."""

    async def send() -> float:
        async with sending(brakes=Brakes(timing=timing), smtp_out_port=peer.port, max_per_destination=5) as here:
            began = time.monotonic()
            await _flood(here, spooled, seconds)
            return began

    with peer:
        began = asyncio.run(send())
    took, refused = (sum(began + after <= at < began + seconds for at in when) for when in (peer.took, peer.refused))
    return took / (peer.limit * (seconds - after) / peer.window), refused / max(1, took)


class ShortSessions(SmtpPeer):
    """Takes two messages over a connection, as Exim's smtp_accept_max_per_connection has it."""

    def next_answer(self, stage: str) -> Answer:
        if stage == "MAIL" and sum(line.startswith("MAIL") for line in self.conversations[-1].commands) > 2:
            return "421 too many messages in this connection"
        return super().next_answer(stage)


@pytest.fixture
def one_host(dns: DNSServer) -> None:
    dns.add(DOMAIN, "MX", f"10 {MX}.")
    dns.add(MX, "A", "127.0.0.1")


@pytest.mark.usefixtures("one_host")
def test_most_of_what_a_receiver_takes_is_reached_soon_with_few_refusals(
    spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "AHEAD_SECONDS", 0.1)
    took, refused = _flooded(PickyPeer(30, 3.0), sending, spooled, FAST, 18, 9)
    # Without a brake thousands are refused. How near it comes is for the long one: here others share the machine.
    assert took >= 0.5
    assert refused <= 0.3


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("one_host")
def test_nine_tenths_of_what_a_receiver_takes_are_reached_with_few_refusals(spooled: Path, sending: Make) -> None:
    half = Timing(cohort=5.0, pause=0.5, longest_pause=30.0, hold=30.0)
    took, refused = _flooded(PickyPeer(150, 30.0), sending, spooled, half, 280, 150)
    assert took >= 0.9
    assert refused < 0.02


def test_what_has_no_turn_soon_waits_in_order_and_is_not_tried(peer: SmtpPeer, spooled: Path, sending: Make) -> None:
    brakes = Brakes()
    brakes.configure(_table(rate=30.0, rate_changed=datetime.now(UTC)), is_active=True, share=1)
    entries = [a_leased_entry(spooled, to=BOB) for _ in range(20)]

    async def send() -> list[Told]:
        async with sending(brakes=brakes) as here:
            await here.send(entries[0])
            return list(await here.send(*entries[1:]))

    before = datetime.now(UTC)
    told = asyncio.run(send())
    waits = [one.only for one in told if one.only.outcome is PENDING]
    assert 1 <= len(peer.taken) <= 5
    assert len(waits) == 20 - len(peer.taken)
    assert all(one.put_off is not None and one.reply.startswith(SLOWED) and MX in one.reply for one in waits)
    assert all(not one.attempts for one in told if one.only.outcome is PENDING)
    dues = [one.put_off for one in waits if one.put_off is not None]
    assert len(dues) == len(waits)
    assert dues == sorted(dues)
    # Two seconds apart.
    assert timedelta(seconds=25) < dues[-1] - before < timedelta(seconds=60)


@pytest.mark.usefixtures("redis")
def test_several_workers_use_all_turns_of_a_slow_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each puts off what has no turn soon until the next one, which may be anybody's."""
    monkeypatch.setattr(brakes_module, "PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(meter, "AHEAD_SECONDS", 0.02)
    sent: list[float] = []

    async def work(brakes: Brakes, until: float) -> None:
        site = brakes.of(Key(MX))
        while time.monotonic() < until:
            if await site.turn(1):
                sent.append(time.monotonic())
            await asyncio.sleep((site.due(DOMAIN, 0) - datetime.now(UTC)).total_seconds())

    async def run() -> None:
        workers = [Brakes() for _ in range(4)]
        for brakes in workers:
            brakes.configure(_table(rate=600.0, rate_changed=datetime.now(UTC)), is_active=True, share=4)
        until = time.monotonic() + 2
        await asyncio.gather(*(work(brakes, until) for brakes in workers))

    asyncio.run(run())
    assert 14 <= len(sent) <= 22, "ten a second"


def test_the_rate_rises_though_a_pass_ends_between_two_messages() -> None:
    reports: list[Report] = []
    kept: dict[Key, Progress] = {}

    def brake() -> SiteBrake:
        found = Brakes(lambda do: reports.extend(do.args[0]), timing=Timing(cohort=0.01), kept=kept)  # type: ignore[attr-defined]
        found.configure(_table(rate=1.0, ceiling=1.0, rate_changed=long_ago), is_active=True, share=1)
        return found.of(Key(MX))

    async def run() -> None:
        brake().refused(Reply(421, (TOO_FAST[4:],)), DOMAIN, "127.0.0.1", 1, at_once=False)
        for _ in range(3):
            await asyncio.sleep(0.02)
            site = brake()
            site.progress.waited = True
            site.took(is_full=False)

    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    asyncio.run(run())
    assert [report.about for report in reports] == [About.REFUSED, About.COHORT, About.COHORT]


def test_what_was_put_off_before_a_worker_knew_that_a_limit_has_ended_goes_as_well() -> None:
    """Whoever ends it has what waits tried at once; a worker reads the limits every two seconds."""
    pulled: list[tuple[Sequence[str], Sequence[str]]] = []
    brakes = Brakes(pull=lambda domains, reasons, count: pulled.append((domains, reasons)))
    for table in (_table(suspended_until=datetime.now(UTC) + timedelta(hours=1)), _table(rate=1.0)):
        brakes.configure(table, is_active=True, share=1)
        site = brakes.of(Key(MX))
        assert site.puts_off(1)
        site.due(DOMAIN)
        reason = site.reason
        brakes.configure(Table(), is_active=True, share=1)
        [(domains, reasons)] = pulled
        assert list(domains) == [DOMAIN] and reason in reasons
        pulled.clear()
        brakes.configure(Table(), is_active=True, share=1)
        assert not pulled


def test_a_refusal_for_the_rate_slows_what_follows_and_costs_it_no_attempt(
    peer: SmtpPeer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.on["MAIL"] = ["250 ok", "250 ok", TOO_FAST, "250 ok"]
    reports: list[Report] = []
    brakes = Brakes()
    monkeypatch.setattr(brakes, "report", reports.append)

    async def send() -> list[Told]:
        async with sending(brakes=brakes, max_per_destination=1) as here:
            return list(await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(12)]))

    told = asyncio.run(send())
    [report] = reports
    assert (report.key, report.took, report.code, report.domain) == (Key(MX), 2, 421, DOMAIN)
    assert brakes.of(Key(MX)).rate == 1
    # It was refused on a connection that was kept: it goes back into the queue.
    assert sum(len(one.attempts) for one in told) == sum(one.only.outcome is DELIVERED for one in told)
    assert {one.only.outcome for one in told} == {DELIVERED, PENDING}


def test_a_receiver_that_wants_fewer_connections_gets_fewer(peer: SmtpPeer, spooled: Path, sending: Make) -> None:
    peer.delay_seconds = 0.01
    ready = "220 peer.test ESMTP"
    # The fourth one is too many.
    peer.on["CONNECT"] = [ready, ready, ready, TOO_MANY, ready]
    brakes = Brakes()

    async def send() -> list[Told]:
        async with sending(brakes=brakes, max_per_destination=8) as here:
            return list(await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(100)]))

    told = asyncio.run(send())
    assert {one.only.outcome for one in told} == {DELIVERED}
    assert all(len(one.attempts) == 1 for one in told)
    connections = brakes.of(Key(MX)).connections
    assert connections is not None and 1 <= connections < 8


def test_a_receiver_that_refuses_our_address_is_left_alone_for_an_hour(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    peer.on["CONNECT"] = LISTED
    brakes = Brakes()

    async def send() -> tuple[list[Told], list[Told]]:
        async with sending(brakes=brakes) as here:
            told = await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(5)])
            later = await here.send(a_leased_entry(spooled, to=f"x@{DOMAIN}"))
            before = len(peer.conversations)
            forced = a_leased_entry(spooled, to=BOB)
            forced.priority = Priority.HIGH
            await here.send(forced)
            assert (before, len(peer.conversations)) == (1, 2)
            return list(told), list(later)

    before = datetime.now(UTC)
    told, later = asyncio.run(send())
    assert [len(one.attempts) for one in told] == [1, 0, 0, 0, 0]
    for one in [*told[1:], *later]:
        result = one.only
        assert result.reply.startswith(SUSPENDED)
        assert result.put_off is not None
        assert timedelta(minutes=59) < result.put_off - before < timedelta(minutes=61)


def test_one_recipients_own_rule_suspends_nothing_and_three_refusals_in_a_row_do(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    brakes = Brakes()

    async def send(count: int) -> None:
        async with sending(brakes=brakes, max_per_destination=1) as here:
            await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(count)])

    peer.on["RCPT"] = [LISTED, "250 ok", LISTED, LISTED, "250 ok"]
    asyncio.run(send(5))
    assert not brakes.of(Key(MX)).is_on
    peer.on["RCPT"] = LISTED
    asyncio.run(send(3))
    assert brakes.of(Key(MX)).suspended_until is not None


def test_in_a_dry_run_nothing_is_slowed_and_it_is_said_what_would_have_been(
    peer: SmtpPeer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.on["RCPT"] = ["250 ok", "451 4.7.1 rate limit exceeded, slow down", "250 ok"]
    reports: list[Report] = []
    brakes = Brakes()
    brakes.configure(Table(), is_active=False, share=1)
    monkeypatch.setattr(brakes, "report", reports.append)

    async def send() -> list[Told]:
        async with sending(brakes=brakes, max_per_destination=1) as here:
            return list(await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(10)]))

    told = asyncio.run(send())
    assert [one.only.outcome for one in told] == [DELIVERED, PENDING] + [DELIVERED] * 8
    assert [report.is_about for report in reports] == ["rate"]
    assert brakes.of(Key(MX)).limits.learned.rate is not None


def _apply(reports: list[Report]) -> None:
    """As a worker's round does."""
    with statements.write_transaction():
        limits.apply(reports)


@pytest.mark.django_db(transaction=True)
def test_what_was_learned_is_there_for_every_worker_and_counts_once() -> None:
    now = datetime.now(UTC)
    refusal = Report(
        Key(MX),
        limits.About.REFUSED,
        now,
        ReplyClass.RATE,
        took=100,
        code=421,
        text=TOO_FAST,
        domain=DOMAIN,
        host="192.0.2.7",
    )
    _apply([refusal])
    # Another worker, a moment later.
    _apply([refusal])
    found = limits.read().limits[Key(MX)]
    assert (found.learned.rate, found.reason) == (50, "rate")
    # A worker that has just begun knows it before it sends anything.
    brakes = Brakes()
    brakes.configure(limits.read(), is_active=True, share=2)
    site = brakes.limiting(Key(MX))
    assert site is not None and site.rate == 50
    _apply([Report(Key(MX), limits.About.COHORT, now + timedelta(seconds=20))])
    [row] = Destination.objects.all()
    assert row.rate == pytest.approx(55)
    assert [one["text"] for one in row.evidence] == [TOO_FAST]
    assert limits.read().limits[Key(MX)].learned.refused == now


@pytest.mark.django_db(transaction=True)
def test_a_site_of_many_hosts_and_a_strangers_answer_find_room() -> None:
    key = limits.key_of(" ".join(f"mx{number}.{'x' * 60}.test" for number in range(10)), "2001:db8::1")
    assert len(key.site) <= 255
    now = datetime.now(UTC)
    for number in range(30):
        at = now + timedelta(seconds=100 * number)
        refusal = Report(key, limits.About.REFUSED, at, ReplyClass.RATE, 10, code=421, text="no\x00" * 9999)
        _apply([refusal])
    [row] = Destination.objects.all()
    assert len(row.evidence) == limits.MOST_EVIDENCE
    rate = limits.read().limits[key].learned.rate
    assert rate is not None and rate < 2


def test_a_message_that_is_greylisted_is_tried_again_when_the_host_says(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    peer.rcpt = {BOB: "450 4.2.0 Greylisted, try again in 120 seconds"}

    async def send(entry: LeasedEntry) -> list[Told]:
        async with sending() as here:
            return list(await here.send(entry))

    before = datetime.now(UTC)
    [told] = asyncio.run(send(a_leased_entry(spooled, to=BOB)))
    result = told.only
    assert result.outcome is PENDING and len(told.attempts) == 1
    assert result.again is not None
    assert timedelta(seconds=120) < result.again - before < timedelta(seconds=140)


@pytest.mark.django_db
@pytest.mark.usefixtures("one_host")
def test_where_the_mail_of_a_domain_goes_is_written_down_once(peer: SmtpPeer, spooled: Path, sending: Make) -> None:
    left: list[Callable[[], None]] = []

    def send(to: str) -> None:
        async def go() -> None:
            async with sending(brakes=Brakes(left.append)) as here:
                await here.send(*(a_leased_entry(spooled, to=to) for _ in range(3)))

        asyncio.run(go())

    send(BOB)
    # The site, and how the connection was encrypted.
    first = list(left)
    assert len(first) == 2
    for write in first:
        write()
    assert domains.sites_of([DOMAIN, "other.test"]) == {DOMAIN: Key(MX)}
    assert domains.domains_of(Key(MX)) == [DOMAIN]
    # Another pass, of the same process.
    send(BOB)
    assert left == first
    # A process that knows nothing writes it again, in the place of what was.
    DestinationDomain.objects.update(site="gone.test", seen=datetime.now(UTC) - domains.KEPT)
    domains.forget_known()
    send(BOB)
    for write in left[len(first) :]:
        write()
    domains.forget_old(datetime.now(UTC))
    assert domains.sites_of([DOMAIN]) == {DOMAIN: Key(MX)}


@pytest.mark.usefixtures("one_host")
def test_a_receiver_that_takes_few_messages_over_a_connection_gets_more_connections_and_no_brake(
    spooled: Path, sending: Make
) -> None:
    brakes = Brakes()

    async def send(peer: SmtpPeer) -> list[Told]:
        async with sending(brakes=brakes, smtp_out_port=peer.port, max_per_destination=1) as here:
            return await here.send(*(a_leased_entry(spooled, to=BOB) for _ in range(9)))

    with ShortSessions() as peer:
        told = asyncio.run(send(peer))
    assert [(one.only.outcome, len(one.attempts)) for one in told] == [(DELIVERED, 1)] * 9
    learned = brakes.of(Key(MX)).limits.learned
    assert (learned.messages, learned.rate, learned.connections) == (2, None, None)
    assert not brakes.of(Key(MX)).is_on
    # It had to say so once.
    said = [line for one in peer.conversations for line in one.commands if line.startswith("MAIL")]
    assert len(said) == 10 and len(peer.conversations) == 5


@pytest.mark.django_db
def test_how_many_messages_go_over_a_connection_is_kept_and_shown() -> None:
    said = Report(Key(MX), limits.About.REFUSED, datetime.now(UTC), ReplyClass.MESSAGES, carried=20, code=421, text="x")
    limits.apply([said])
    limits.apply([replace(said, carried=7), replace(said, carried=9)])
    assert limits.cached().limits[Key(MX)].messages() == 7
    assert not limits.cached().limits[Key(MX)].is_in_force(datetime.now(UTC))
    [site] = destinations.sites()
    assert [(one.what, one.value) for one in site.limits] == [(destinations.What.MESSAGES, 7)]
    assert (site.messages, site.is_in_force) == (7, True)
