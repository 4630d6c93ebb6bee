"""Several source addresses: which one a message leaves from, and what takes over when one is gone or refused."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from spool.actions import source_addresses
from spool.delivery import sources
from spool.delivery.routes import RoutingTable
from spool.delivery.shaping import warm_up
from spool.delivery.shaping.limits import Key, Limits, Table
from spool.delivery.shaping.pace import Pace
from spool.delivery.shaping.rules import NO_RULES, Rule, RuleBook
from spool.delivery.shaping.warm_up import Allowances, Plan
from spool.delivery.sources import NONE_HERE, Source, Sources
from spool.message.envelope import LeasedEntry
from spool.models.destination_rule import RuleScope
from spool.models.entry import Origin
from spool.models.recipient import Outcome
from spool.models.source_address import SourceAddress
from tests.spool.delivery_remote.conftest import BOB, DOMAIN, Sending, a_hop
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import Answer, SmtpPeer

DELIVERED, PENDING = Outcome.DELIVERED, Outcome.PENDING
Make = Callable[..., Sending]
ONE, TWO, THREE, NOT_OURS = "127.0.1.1", "127.0.1.2", "127.0.1.3", "192.0.2.77"


@pytest.fixture(autouse=True)
def _nothing_was_told() -> None:
    sources.forget()


def leaving_from(here: Sending, *some: Source, rules: RuleBook = NO_RULES) -> Sending:
    here.transport.configure(
        here.transport.settings, RoutingTable(), limits=Table(), rules=rules, sources=Sources(some)
    )
    return here


class Choosy(SmtpPeer):
    """Refuses some addresses of ours, at the greeting or at MAIL."""

    def __init__(self, refused: dict[str, str]) -> None:
        super().__init__()
        self.refused = refused

    def next_answer(self, stage: str) -> Answer:
        client = self.conversations[-1].client if self.conversations else ""
        if stage == self.refused.get(client):
            return "554 5.7.1 your address is on a block list"
        return super().next_answer(stage)


def an_entry(spooled: Path, number: int = 0, **given: object) -> LeasedEntry:
    entry = a_leased_entry(spooled, to=BOB)
    entry.id = number or entry.id
    for name, value in given.items():
        setattr(entry, name, value)
    return entry


def test_each_address_gets_its_weight_and_a_message_keeps_its_own(spooled: Path) -> None:
    some = Sources([Source(ONE), Source(TWO, weight=3), Source(THREE, weight=0), Source("::1", weight=2)])
    entry = an_entry(spooled)
    firsts: Counter[str] = Counter()
    for number in range(1, 4001):
        entry.id = number
        order = some.order_for(entry)
        assert order == some.order_for(entry)
        firsts[order[0].address] += 1
        # When one is left out, the others stay as they are.
        without = Sources([one for one in some.all if one.address != order[0].address])
        assert without.order_for(entry)[0] == order[1]
    assert firsts[THREE] == 0
    assert abs(firsts[TWO] - 2000) < 200
    assert abs(firsts[ONE] - 667) < 120


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"auth_user": "ann@example.org", "sender": "x@shop.example"}, ONE),
        ({"auth_user": "bob@example.org", "sender": "x@Shop.example"}, TWO),
        ({"origin": Origin.LIST, "sender": "news-bounces@example.org"}, THREE),
        ({"sender": "news-bounces@example.org"}, "127.0.1.9"),
    ],
)
def test_a_user_a_list_and_a_senders_domain_have_their_own(
    given: dict[str, object], address: str, spooled: Path
) -> None:
    some = Sources(
        [
            Source(ONE, senders=("ann@example.org",)),
            Source(TWO, senders=("shop.example",)),
            Source(THREE, senders=("news@example.org",)),
            Source("127.0.1.9"),
        ]
    )
    assert some.order_for(an_entry(spooled, **given))[0].address == address


def test_mail_leaves_by_weight_each_with_its_own_name(peer: SmtpPeer, spooled: Path, sending: Make) -> None:
    async def send() -> None:
        async with leaving_from(sending(), Source(ONE, "one.example"), Source(TWO, "two.example")) as here:
            told = await here.send(*[an_entry(spooled, number) for number in range(1, 31)])
            assert {one.only.outcome for one in told} == {DELIVERED}

    asyncio.run(send())
    greeted = {(one.client, one.commands[0]) for one in peer.conversations}
    assert greeted == {(ONE, "EHLO one.example"), (TWO, "EHLO two.example")}
    by_client = Counter(one.client for one in peer.conversations for command in one.commands if command[:4] == "MAIL")
    assert min(by_client.values()) > 5


def test_one_that_is_not_on_this_machine_is_left_out_and_told_of_once(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    told: list[tuple[str, bool]] = []

    async def send() -> None:
        async with sending() as here:
            here.transport.local = sources.Local(lambda address, is_missing: told.append((address, is_missing)))
            leaving_from(here, Source(ONE), Source(NOT_OURS, weight=1000))
            results = await here.send(*[an_entry(spooled, number) for number in range(1, 6)])
            assert {one.only.outcome for one in results} == {DELIVERED}
            assert sum(len(one.attempts) for one in results) == 5

    asyncio.run(send())
    assert {one.client for one in peer.conversations} == {ONE}
    assert sorted(told) == [(ONE, False), (NOT_OURS, True)]


def test_one_that_goes_while_mail_is_sent_costs_no_attempt(
    peer: SmtpPeer, spooled: Path, sending: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is there when it is looked for, and gone when a connection is made.
    monkeypatch.setattr(sources, "is_here", lambda address: True)

    async def send() -> None:
        async with leaving_from(sending(), Source(ONE), Source(NOT_OURS, weight=1000)) as here:
            results = await here.send(*[an_entry(spooled, number) for number in range(1, 6)])
            assert {one.only.outcome for one in results} == {DELIVERED}
            assert sum(len(one.attempts) for one in results) == 5

    asyncio.run(send())
    assert {one.client for one in peer.conversations} == {ONE}


def test_without_any_mail_waits_and_spends_no_attempt(peer: SmtpPeer, spooled: Path, sending: Make) -> None:
    async def send() -> None:
        async with leaving_from(sending(), Source(NOT_OURS), Source("192.0.2.78")) as here:
            [told] = await here.send(an_entry(spooled))
            assert told.attempts == []
            assert told.only.put_off is not None
            assert told.only.reply == NONE_HERE

    asyncio.run(send())
    assert peer.conversations == []


@pytest.mark.parametrize("stage", ["CONNECT", "MAIL"])
def test_where_one_is_refused_the_other_takes_over_for_that_site_alone(
    stage: str, dns: DNSServer, spooled: Path, sending: Make
) -> None:
    with Choosy({ONE: stage}) as choosy, SmtpPeer("127.0.0.72", choosy.port) as other:
        dns.add(DOMAIN, "MX", f"10 mx.{DOMAIN}.")
        dns.add(f"mx.{DOMAIN}", "A", "127.0.0.1")
        dns.add("other.test", "MX", "10 mx.other.test.")
        dns.add("mx.other.test", "A", "127.0.0.72")

        async def send() -> list[Outcome]:
            async with leaving_from(sending(smtp_out_port=choosy.port), Source(ONE, weight=1000), Source(TWO)) as here:
                for number in range(1, 5):
                    await here.send(an_entry(spooled, number))
                told = await here.send(*[an_entry(spooled, number) for number in range(10, 20)])
                elsewhere = a_leased_entry(spooled, to="x@other.test")
                elsewhere.id = 20
                await here.send(elsewhere)
                return [one.only.outcome for one in told]

        outcomes = asyncio.run(send())
        assert set(outcomes) == {DELIVERED}
        # So many were refused before that was clear.
        refused = [one for one in choosy.conversations if one.client == ONE]
        asked = [command for one in refused for command in one.commands if command.startswith("MAIL")]
        assert (len(refused), len(asked)) == ((1, 0) if stage == "CONNECT" else (1, 3))
        assert len(choosy.taken) == (14 if stage == "CONNECT" else 11)
        assert {one.client for one in other.conversations} == {ONE}


def test_a_rule_for_a_site_or_domain_and_a_route_choose_among_them(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    async def send() -> None:
        some = Source(ONE), Source(TWO, "two.example", weight=0)
        for scope, name in ((RuleScope.HOSTS, f"mx.{DOMAIN}"), (RuleScope.DOMAIN, DOMAIN)):
            book = RuleBook([Rule(1, name, scope, name, sources=(NOT_OURS, TWO))])
            async with leaving_from(sending(), *some, Source(NOT_OURS, weight=0), rules=book) as here:
                await here.send(an_entry(spooled))
        async with sending() as here:
            hops = RoutingTable({DOMAIN: a_hop(port=peer.port, source_address=THREE)})
            here.transport.configure(here.transport.settings, hops, sources=Sources(some))
            await here.send(an_entry(spooled))

    asyncio.run(send())
    assert [one.client for one in peer.conversations] == [TWO, TWO, THREE]
    assert peer.conversations[0].commands[0] == "EHLO two.example"


@pytest.mark.django_db
def test_what_workers_find_is_written_down_and_taken_back_by_that_machine_alone() -> None:
    SourceAddress.objects.create(address=NOT_OURS)
    SourceAddress.objects.create(address=ONE, enabled=False)
    assert [one.address for one in sources.cached().all] == [NOT_OURS]
    sources.note_missing(NOT_OURS, "mail1", timezone.now(), is_missing=True)
    sources.note_missing(NOT_OURS, "mail2", timezone.now(), is_missing=False)
    assert [one.missing_where for one in sources.missing_now()] == ["mail1"]
    sources.note_missing(NOT_OURS, "mail1", timezone.now(), is_missing=False)
    assert sources.missing_now() == []


def a_plan(allowed: dict[str, int], sent: dict[Key, int] | None = None) -> Plan:
    return Plan(datetime.now(UTC).date(), allowed, sent or {})


def warming_up(here: Sending, plan: Plan, *some: Source) -> Sending:
    here.transport.configure(here.transport.settings, RoutingTable(), limits=Table(), sources=Sources(some), plan=plan)
    return here


def test_a_new_address_sends_its_share_and_the_rest_leaves_from_others(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    async def send() -> None:
        plan = a_plan({ONE: 7}, {Key(f"mx.{DOMAIN}", ONE): 2})
        async with warming_up(sending(), plan, Source(ONE, weight=1000), Source(TWO)) as here:
            told = await here.send(*[an_entry(spooled, number) for number in range(1, 31)])
            assert {one.only.outcome for one in told} == {DELIVERED}

    asyncio.run(send())
    sent = Counter(one.client for one in peer.conversations for command in one.commands if command.startswith("MAIL"))
    assert sent == {ONE: 5, TWO: 25}


def test_without_others_the_rest_waits_and_spends_no_attempt(peer: SmtpPeer, spooled: Path, sending: Make) -> None:
    async def send() -> None:
        async with warming_up(sending(), a_plan({ONE: 5}), Source(ONE)) as here:
            told = await here.send(*[an_entry(spooled, number) for number in range(1, 11)])
            held = [one.only for one in told if one.only.outcome is PENDING]
            assert len(held) == 5
            assert {one.reply for one in held} == {
                f"suspended: our address is new, and its warm-up allows no more mail to mx.{DOMAIN}"
            }
            assert all(one.put_off is not None for one in held)
            assert sum(len(one.attempts) for one in told) == 5
            # The next day.
            warming_up(here, a_plan({ONE: 10}), Source(ONE))
            [after] = await here.send(an_entry(spooled, 20))
            assert after.only.outcome is DELIVERED

    asyncio.run(send())


@pytest.mark.django_db
def test_workers_share_a_plan_that_grows_and_count_in_batches() -> None:
    today = datetime.now(UTC).date()
    row = SourceAddress.objects.create(
        address=ONE, warm_up_since=today - timedelta(days=2), warm_up_first=10, warm_up_days=5
    )
    assert [row.allowed_on(today + timedelta(days=number)) for number in (-3, -2, 0, 2, 3)] == [10, 10, 40, 160, None]
    key, later = Key("Google", ONE), deque[Callable[[], None]]()
    mine = Allowances(later.append)
    mine.configure(warm_up.read(), share=4)
    for _ in range(10):
        assert mine.spent(key) is None
        mine.take(key)
    # What is left is for the other workers, until it is looked at again.
    until = mine.spent(key)
    assert until is not None
    assert until < datetime.now(UTC) + timedelta(minutes=1)
    assert len(later) == 1
    with CaptureQueriesContext(connection) as queries:
        later.popleft()()
    assert len(queries) <= 4
    with CaptureQueriesContext(connection) as queries:
        plan = warm_up.read()
    assert len(queries) == 2
    assert plan.sent == {key: 10}
    warm_up.add({key: 30}, today)
    full = warm_up.read()
    mine.configure(full, share=4)
    assert mine.spent(key) == full.ends
    assert mine.spent(Key("Google", TWO)) is None
    states = source_addresses.states_of([row])
    assert states[ONE].warm_up == "day 3 of 5: 40 to each; most to Google: 40"
    SourceAddress.objects.update(warm_up_since=None)
    assert warm_up.read() is warm_up.NO_PLAN


def test_connections_are_counted_for_each_address_of_ours(dns: DNSServer, spooled: Path, sending: Make) -> None:
    """As receivers count them: what one of them may have open is no concern of the other's."""
    with SmtpPeer() as peer:
        dns.add(DOMAIN, "MX", f"10 mx.{DOMAIN}.")
        dns.add(f"mx.{DOMAIN}", "A", "127.0.0.1")
        peer.delay_seconds = 0.05
        limited = Table({Key(f"mx.{DOMAIN}", ONE): Limits(Pace(connections=1, refused=datetime.now(UTC)))})

        async def send() -> Counter[str]:
            async with sending(smtp_out_port=peer.port, max_per_destination=3) as here:
                some = Sources([Source(ONE), Source(TWO)])
                here.transport.configure(here.transport.settings, RoutingTable(), limits=limited, sources=some)
                # Each has answered once.
                await here.send(*[an_entry(spooled, number) for number in range(1, 9)])
                await here.send(*[an_entry(spooled, number) for number in range(10, 90)])
            return Counter(one.client for one in peer.conversations)

        opened = asyncio.run(send())
        assert opened == {ONE: 1, TWO: 3}
        # None had to make way for one of the other's.
        assert peer.most_open == 4


@pytest.mark.parametrize("stage", ["CONNECT", "MAIL"])
def test_where_the_address_of_one_kind_is_refused_mail_leaves_by_the_other_kind(
    stage: str, dns: DNSServer, spooled: Path, sending: Make
) -> None:
    """Many receivers refuse IPv6 alone."""
    with SmtpPeer() as peer, SmtpPeer("::1", peer.port) as refusing:
        refusing.on[stage] = ["554 5.7.1 your address is on a block list"] * 99
        dns.add(DOMAIN, "MX", f"10 six.{DOMAIN}.")
        dns.add(DOMAIN, "MX", f"20 four.{DOMAIN}.")
        dns.add(f"six.{DOMAIN}", "AAAA", "::1")
        dns.add(f"four.{DOMAIN}", "A", "127.0.0.1")

        async def send() -> list[Outcome]:
            settings = {"smtp_out_port": peer.port, "max_per_destination": 1}
            async with leaving_from(sending(**settings), Source(ONE), Source("::1")) as here:
                for number in range(1, 5):
                    await here.send(an_entry(spooled, number))
                told = await here.send(*[an_entry(spooled, number) for number in range(10, 20)])
                site = f"four.{DOMAIN} six.{DOMAIN}"
                suspended = here.transport.brakes.suspended
                assert suspended(site, "::1") is not None and suspended(site, ONE) is None
                return [one.only.outcome for one in told]

        assert set(asyncio.run(send())) == {DELIVERED}
        assert {one.client for one in peer.conversations} == {ONE}
        asked = [line for one in refusing.conversations for line in one.commands if line.startswith("MAIL")]
        assert (len(refusing.conversations), len(asked)) == ((1, 0) if stage == "CONNECT" else (1, 3))
