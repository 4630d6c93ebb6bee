"""Smart hosts and gateways, source addresses, and mail stores behind LMTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from spool.delivery import routes
from spool.delivery.routes import RoutingTable
from spool.models.recipient import Kind, Outcome
from spool.models.route import Route, RouteKind, TLSPolicy
from tests.spool.delivery_remote.conftest import BOB, CARL, DAN, Deliver, Sending, a_hop
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import CUT, SmtpPeer

DELIVERED, BOUNCED, PENDING = Outcome.DELIVERED, Outcome.BOUNCED, Outcome.PENDING
TABLE = RoutingTable(
    {
        "far.test": a_hop("one"),
        "*.far.test": a_hop("two"),
        "*.deep.far.test": a_hop("three"),
        "*": a_hop("any"),
    },
    frozenset({"gate.test", "*.gate.test"}),
)


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("far.test", "one"),
        ("FAR.test", "one"),
        ("a.far.test", "two"),
        ("b.a.far.test", "two"),
        ("deep.far.test", "two"),
        ("x.deep.far.test", "three"),
        ("notfar.test", "any"),
        ("test", "any"),
    ],
)
def test_the_nearest_pattern_decides(domain: str, host: str) -> None:
    hop = TABLE.route_for(domain)
    assert hop is not None
    assert hop.host == host


def test_without_a_pattern_for_all_other_mail_goes_by_the_dns() -> None:
    table = RoutingTable({"far.test": a_hop("one")})
    assert table.route_for("other.test") is None
    assert RoutingTable().route_for("far.test") is None


def test_a_gateway_is_one_for_its_own_domains_only() -> None:
    assert TABLE.is_gateway("gate.test")
    assert TABLE.is_gateway("a.gate.test")
    assert not TABLE.is_gateway("far.test")


@pytest.mark.parametrize(
    ("written", "pattern"), [("Bücher.test.", "xn--bcher-kva.test"), ("*.bücher.test", "*.xn--bcher-kva.test")]
)
def test_a_routes_domain_is_spelled_as_recipients_are(written: str, pattern: str) -> None:
    route = Route(domain=written, host="mx.far.test")
    route.clean()
    assert route.domain == pattern


@pytest.mark.django_db
def test_a_route_that_is_switched_off_is_no_route() -> None:
    Route.objects.create(domain="off.test", host="h", enabled=False)
    Route.objects.create(domain="gate.test", host="h", kind=RouteKind.GATEWAY, port=2525, max_connections=3)
    table = routes.load()
    assert table.route_for("off.test") is None
    assert table.is_gateway("gate.test")
    hop = table.route_for("gate.test")
    assert hop is not None
    assert (hop.port, hop.tls, hop.max_connections) == (2525, TLSPolicy.OPPORTUNISTIC, 3)


def test_mail_for_many_domains_goes_to_the_smart_host_over_one_connection(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, deliver: Deliver
) -> None:
    entry = a_leased_entry(spooled, to=["x@one.test", "y@two.test", "z@three.test"])
    [told] = deliver(entry, hops={"*": a_hop(port=peer.port)}, smtp_out_port=1)
    assert set(told.outcomes.values()) == {DELIVERED}
    [taken] = peer.taken
    assert taken.recipients == ("x@one.test", "y@two.test", "z@three.test")
    assert dns.questions == []


def test_each_route_has_its_own_host(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    with SmtpPeer("127.0.0.71") as gateway:
        hops = {"*": a_hop(port=peer.port), "*.inside.test": a_hop("127.0.0.71", gateway.port)}
        [told] = deliver(a_leased_entry(spooled, to=["x@out.test", "y@a.inside.test"]), hops=hops)
        assert gateway.taken[0].recipients == ("y@a.inside.test",)
    assert peer.taken[0].recipients == ("x@out.test",)
    assert set(told.outcomes.values()) == {DELIVERED}


def test_a_misspelt_smart_host_keeps_the_mail(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    [told] = deliver(a_leased_entry(spooled, to=BOB), hops={"*": a_hop("smrat.test")})
    assert told.only.outcome is PENDING
    assert told.only.dns
    assert "smrat.test" in told.attempts[0].reply


def test_connections_come_from_the_address_in_settings_or_in_the_route(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    deliver(a_leased_entry(spooled, to=BOB), source_address="127.0.0.77")
    hop = a_hop(port=peer.port, source_address="127.0.0.78")
    deliver(a_leased_entry(spooled, to=BOB), hops={"*": hop}, source_address="127.0.0.77")
    assert [conversation.client for conversation in peer.conversations] == ["127.0.0.77", "127.0.0.78"]


def test_a_source_address_of_the_other_kind_is_left_out(peer: SmtpPeer, spooled: Path, deliver: Deliver) -> None:
    [told] = deliver(a_leased_entry(spooled, to=BOB), source_address="::1")
    assert told.only.outcome is DELIVERED


def test_a_source_address_that_is_not_ours_is_said_in_plain_words(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    [told] = deliver(a_leased_entry(spooled, to=BOB), source_address="192.0.2.1")
    assert told.only.outcome is PENDING
    assert "192.0.2.1" in told.only.reply


def test_a_new_policy_takes_no_kept_connection(peer: SmtpPeer, spooled: Path, sending: Callable[..., Sending]) -> None:
    async def send() -> list[Outcome]:
        async with sending() as here:
            [first] = await here.send(a_leased_entry(spooled, to=BOB))
            settings = here.transport.settings
            settings.tls_policy = TLSPolicy.ENCRYPT.value
            here.transport.configure(settings, RoutingTable())
            [second] = await here.send(a_leased_entry(spooled, to=BOB))
            return [first.only.outcome, second.only.outcome]

    assert asyncio.run(send()) == [DELIVERED, PENDING]


def _lmtp(spooled: Path, deliver: Deliver, address: str, to: list[str]) -> dict[str, Outcome]:
    [told] = deliver(a_leased_entry(spooled, to=to, kind=Kind.LOCAL), lmtp=True, lmtp_address=address)
    return told.outcomes


def test_lmtp_answers_for_each_recipient(spooled: Path, dns: DNSServer, deliver: Deliver) -> None:
    with SmtpPeer(lmtp=True) as store:
        store.rcpt = {CARL: "550 5.1.1 no such mailbox"}
        store.on["END"] = ["250 2.0.0 stored", "452 4.2.2 over quota"]
        outcomes = _lmtp(spooled, deliver, f"127.0.0.1:{store.port}", [BOB, CARL, DAN])
        assert outcomes == {BOB: DELIVERED, CARL: BOUNCED, DAN: PENDING}
        assert store.commands[0] == "LHLO mail.test"


def test_lmtp_goes_by_a_unix_socket_too(spooled: Path, dns: DNSServer, deliver: Deliver, tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    with SmtpPeer(lmtp=True, path=path) as store:
        assert _lmtp(spooled, deliver, str(path), [BOB]) == {BOB: DELIVERED}
        assert len(store.taken) == 1


def test_who_was_answered_before_lmtp_broke_off_is_delivered(spooled: Path, dns: DNSServer, deliver: Deliver) -> None:
    with SmtpPeer(lmtp=True) as store:
        store.on["END"] = ["250 2.0.0 stored", CUT]
        outcomes = _lmtp(spooled, deliver, f"127.0.0.1:{store.port}", [BOB, CARL, DAN])
    assert outcomes == {BOB: DELIVERED, CARL: PENDING, DAN: PENDING}


def test_a_mail_store_that_is_down_keeps_the_mail(
    spooled: Path, dns: DNSServer, deliver: Deliver, tmp_path: Path
) -> None:
    assert _lmtp(spooled, deliver, str(tmp_path / "nothing"), [BOB]) == {BOB: PENDING}
