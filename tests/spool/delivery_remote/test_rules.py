"""Rules by domain, mail hosts and provider: which one holds, and what it does to connections and to the schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from spool.delivery.routes import RoutingTable
from spool.delivery.shaping import rules
from spool.delivery.shaping.brakes import Brakes
from spool.delivery.shaping.classes import ReplyClass
from spool.delivery.shaping.limits import Key, Limits, Table
from spool.delivery.shaping.pace import Pace
from spool.delivery.shaping.rules import NO_RULES, Rule, RuleBook
from spool.flow.outcomes import decide
from spool.flow.retry import RetrySchedule
from spool.message.envelope import DeliveryReport, LeasedEntry, RecipientResult
from spool.models.destination_rule import DestinationRule, RuleScope, RuleTLS, Schedule, parse_by_error
from spool.models.entry import Priority
from spool.models.recipient import Outcome
from spool.models.settings import Settings
from tests.spool.delivery_remote.conftest import BOB, DOMAIN, Sending, a_hop
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import SmtpPeer

DELIVERED, PENDING, EXPIRED = Outcome.DELIVERED, Outcome.PENDING, Outcome.EXPIRED
Make = Callable[..., Sending]
MX = f"mx.{DOMAIN}"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def a_rule(scope: RuleScope, name: str, **says: object) -> Rule:
    return Rule(1, name, scope, name, **says)  # type: ignore[arg-type]


def urgent(spooled: Path) -> LeasedEntry:
    entry = a_leased_entry(spooled, to=BOB)
    entry.priority = Priority.HIGH
    return entry


def with_rules(here: Sending, *said: Rule, settings: Settings | None = None) -> Sending:
    here.transport.configure(settings or here.transport.settings, RoutingTable(), limits=Table(), rules=RuleBook(said))
    return here


@pytest.mark.parametrize(
    ("domain", "site", "rate"),
    [
        ("far.test", "Google", 1),
        ("a.far.test", "Google", 2),
        ("other.test", "mx1.host.test mx2.host.test", 3),
        ("other.test", "mx1.host.test", 4),
        ("other.test", "mx1.host.test elsewhere.test", 6),
        ("other.test", "smart.host.test:2525", 4),
        ("other.test", "google", 5),
        ("other.test", "", 6),
    ],
)
def test_the_most_specific_rule_holds(domain: str, site: str, rate: int) -> None:
    book = RuleBook(
        [
            a_rule(RuleScope.ALL, "*", rate=6, connections=9),
            a_rule(RuleScope.PROVIDER, "Google", rate=5),
            a_rule(RuleScope.HOSTS, "*.host.test", rate=4),
            a_rule(RuleScope.HOSTS, "mx1.host.test mx2.host.test", rate=3),
            a_rule(RuleScope.DOMAIN, "*.far.test", rate=2),
            a_rule(RuleScope.DOMAIN, "far.test", rate=1),
        ]
    )
    chosen = book.of_mail(domain, site)
    assert chosen.value(lambda rule: rule.rate) == rate
    # What it says nothing of, a less specific one says.
    assert chosen.value(lambda rule: rule.connections) == 9


def test_a_rules_word_about_an_error_goes_before_its_word_about_any_and_both_before_another_rule() -> None:
    minutes = {n: (timedelta(minutes=n),) for n in (1, 2, 3)}
    book = RuleBook(
        [
            a_rule(
                RuleScope.DOMAIN,
                "far.test",
                schedule=Schedule(minutes[1]),
                by_error={ReplyClass.GREYLISTING: Schedule(minutes[2])},
            ),
            a_rule(RuleScope.ALL, "*", by_error={ReplyClass.RATE: Schedule(minutes[3], timedelta(hours=5))}),
        ]
    )
    chosen = book.of_mail("far.test", "")
    assert chosen.schedule(ReplyClass.GREYLISTING) == (Schedule(minutes[2]), True)
    assert chosen.schedule(ReplyClass.RATE) == (Schedule(minutes[1], timedelta(hours=5)), False)


def _decided(
    folder: Path, book: RuleBook, *told: tuple[str, str], age_hours: float = 0.0
) -> tuple[datetime | None, list[Outcome]]:
    created = NOW - timedelta(hours=age_hours)
    entry = a_leased_entry(folder, sender="", to=[address for address, _ in told], created=created)
    results = [
        RecipientResult(one, PENDING, reply, reply[4:9], MX, answered=True, site=MX)
        for one, (_, reply) in zip(entry.recipients, told, strict=True)
    ]
    decision = decide(DeliveryReport(entry, results), Settings(), NOW, book)
    return decision.due, [result.outcome for result in decision.final]


def test_recipients_under_different_schedules_are_due_and_expire_by_their_own(spooled: Path) -> None:
    book = RuleBook(
        [
            a_rule(RuleScope.DOMAIN, "slow.test", schedule=Schedule((timedelta(minutes=50),), timedelta(hours=2))),
            a_rule(
                RuleScope.HOSTS,
                MX,
                by_error={ReplyClass.MAILBOX_FULL: Schedule((timedelta(minutes=40),), timedelta(hours=200))},
            ),
        ]
    )
    full, odd = "452 4.2.2 mailbox full", "451 4.3.0 not now"
    assert _decided(spooled, book, ("x@slow.test", odd)) == (NOW + timedelta(minutes=50), [])
    assert _decided(spooled, book, ("x@slow.test", odd), ("y@far.test", full)) == (NOW + timedelta(minutes=40), [])
    # Of one entry some may be given up, while others go on beyond the usual time.
    due, final = _decided(spooled, book, ("x@slow.test", odd), ("y@far.test", full), age_hours=150)
    assert (due, final) == (NOW + timedelta(minutes=40), [EXPIRED])
    assert _decided(spooled, NO_RULES, ("y@far.test", full), age_hours=150) == (None, [EXPIRED])


def test_messages_per_connection_and_connections_at_once_are_kept_to(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    async def send() -> None:
        async with sending(max_per_destination=20) as here:
            with_rules(here, a_rule(RuleScope.HOSTS, MX, messages=5, connections=2))
            await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(40)])

    asyncio.run(send())
    assert len(peer.taken) == 40
    assert len(peer.conversations) >= 8
    assert peer.most_open <= 2


def test_more_connections_than_settings_allow_are_made_where_a_rule_says_so(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    peer.delay_seconds = 0.05

    async def send() -> None:
        async with sending(max_per_destination=1) as here:
            with_rules(
                here, a_rule(RuleScope.DOMAIN, DOMAIN, connections=9), a_rule(RuleScope.HOSTS, MX, connections=4)
            )
            await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(40)])

    asyncio.run(send())
    assert 1 < peer.most_open <= 4


def test_a_domains_own_rate_holds_for_it_alone_and_in_the_place_of_its_providers(
    dns: DNSServer, peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    # Turns are counted in Redis, and other tests are not to wait for those of these.
    dns.add("slow.test", "MX", f"10 {MX}.")
    dns.add("quick.test", "MX", f"10 {MX}.")

    async def send() -> list[int]:
        async with sending() as here:
            with_rules(
                here,
                a_rule(RuleScope.DOMAIN, "slow.test", rate=1),
                a_rule(RuleScope.DOMAIN, "quick.test", rate=60_000),
                a_rule(RuleScope.HOSTS, MX, rate=60),
            )
            entries = {
                domain: [a_leased_entry(spooled, to=f"x@{domain}") for _ in range(12)]
                for domain in ("slow.test", "quick.test")
            }
            here.put(*entries["slow.test"], *entries["quick.test"])
            await here.all_told(60)
            return [sum(here.told[entry.id].only.outcome is DELIVERED for entry in some) for some in entries.values()]

    slow, quick = asyncio.run(send())
    assert slow < 3
    assert quick == 12


def test_what_was_learned_of_a_site_holds_below_a_domains_own_rate(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    async def send() -> str:
        async with sending() as here:
            table = Table({Key(MX): Limits(Pace(rate=1.0))})
            book = RuleBook([a_rule(RuleScope.DOMAIN, DOMAIN, rate=60_000)])
            here.transport.configure(here.transport.settings, RoutingTable(), limits=table, rules=book)
            told = await here.send(*[a_leased_entry(spooled, to=BOB) for _ in range(6)])
            return told[-1].only.reply

    assert asyncio.run(send()).startswith(f"slowed: {MX}")
    assert len(peer.taken) < 3


def test_a_suspension_has_mail_wait_without_an_attempt_and_force_passes_it(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    until = datetime.now(UTC) + timedelta(days=3)

    async def send() -> None:
        async with sending() as here:
            said = a_rule(RuleScope.DOMAIN, DOMAIN, suspended_until=until, suspended_reason="they move house")
            with_rules(here, said)
            [told] = await here.send(a_leased_entry(spooled, to=BOB))
            assert told.only.outcome is PENDING
            assert told.attempts == []
            assert told.only.reply == f"suspended: an administrator has suspended mail for {DOMAIN}: they move house"
            # An hour at most: the rule may be changed meanwhile.
            assert told.only.put_off is not None
            assert told.only.put_off < datetime.now(UTC) + timedelta(hours=1, minutes=1)
            [forced] = await here.send(urgent(spooled))
            assert forced.only.outcome is DELIVERED
            with_rules(here)
            [after] = await here.send(a_leased_entry(spooled, to=BOB))
            assert after.only.outcome is DELIVERED

    asyncio.run(send())


@pytest.mark.parametrize(
    ("scope", "name"), [(RuleScope.DOMAIN, DOMAIN), (RuleScope.HOSTS, f"*.{DOMAIN}"), (RuleScope.ALL, "*")]
)
def test_tls_is_asked_for_as_the_rule_says(
    scope: RuleScope, name: str, peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    async def send() -> tuple[Outcome, Outcome]:
        async with sending() as here:
            with_rules(here, a_rule(scope, name, tls=RuleTLS.ENCRYPT))
            [required] = await here.send(a_leased_entry(spooled, to=BOB))
            with_rules(here, a_rule(scope, name, tls=RuleTLS.OPPORTUNISTIC))
            here.transport.settings.tls_policy = "encrypt"
            [offered] = await here.send(urgent(spooled))
            return required.only.outcome, offered.only.outcome

    assert asyncio.run(send()) == (PENDING, DELIVERED)


def test_a_rules_source_address_is_used_and_a_routes_own_goes_before(
    peer: SmtpPeer, spooled: Path, sending: Make
) -> None:
    async def send() -> None:
        async with sending(source_address="127.0.0.76") as here:
            with_rules(here, a_rule(RuleScope.DOMAIN, DOMAIN, sources=("2001:db8::1", "127.0.0.77")))
            await here.send(a_leased_entry(spooled, to=BOB))
            hops = RoutingTable({DOMAIN: a_hop(port=peer.port, source_address="127.0.0.78")})
            here.transport.configure(here.transport.settings, hops, rules=here.transport.rules)
            await here.send(a_leased_entry(spooled, to=BOB))

    asyncio.run(send())
    assert [conversation.client for conversation in peer.conversations] == ["127.0.0.77", "127.0.0.78"]


@pytest.mark.django_db
def test_a_rule_that_cannot_be_read_is_left_out_and_one_that_is_over_suspends_nothing() -> None:
    DestinationRule.objects.create(scope="domain", name="far.test", rate_per_minute=30)
    DestinationRule.objects.create(scope="domain", name="bad.test", by_error="nonsense", rate_per_minute=1)
    DestinationRule.objects.create(scope="nowhere", name="worse.test")
    DestinationRule.objects.create(
        scope="all", name="*", suspended_until=datetime.now(UTC) - timedelta(minutes=1), enabled=True
    )
    rules.forget()
    book = rules.cached()
    assert {rule.name for rule in book.rules} == {"far.test", "*"}
    assert not Brakes().of(Key(MX)).is_on
    assert book.limits_of_site(MX).suspended(datetime.now(UTC)) is None
    # What is read again and says the same stays the same, with all that is known by it.
    assert rules.read() is book
    rules.forget()


def test_what_a_rule_says_of_errors_is_read_or_complained_of() -> None:
    said = parse_by_error("greylisting: 5, 10\n\nmailbox-full: 60 until 48h\npolicy: until 2")
    assert said["greylisting"] == Schedule((timedelta(minutes=5), timedelta(minutes=10)))
    assert said["mailbox-full"] == Schedule((timedelta(minutes=60),), timedelta(hours=48))
    assert said["policy"] == Schedule(None, timedelta(hours=2))
    for wrong in ("5, 10", "virus: 5", "rate:", "rate: x", "rate: 5 until", "rate: 5 until -1", "rate: 5 until 9999"):
        with pytest.raises(ValidationError):
            parse_by_error(wrong)


def test_without_rules_nothing_is_asked_for_a_message() -> None:
    assert NO_RULES.version == ""
    assert NO_RULES.limits_of_site(MX) is NO_RULES.limits_of_domain(DOMAIN)
    usual = RetrySchedule((timedelta(minutes=15),), timedelta(hours=1))
    assert usual.under(NO_RULES.of_mail(DOMAIN, MX), ReplyClass.OTHER) is usual
