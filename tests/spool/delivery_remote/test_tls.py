"""Encryption to the next hop, policy by policy, against good, bad and broken certificates; and logging in over it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from base.sealed import CannotUnseal, seal, unseal
from spool.delivery import routes
from spool.delivery.remote import client
from spool.delivery.shaping import encryption
from spool.delivery.shaping.brakes import Brakes
from spool.delivery.shaping.limits import Key
from spool.message.encryption import Proof
from spool.models.recipient import Outcome
from spool.models.route import Route, TLSPolicy
from tests.spool.delivery_remote.conftest import BOB, CARL, DOMAIN, Deliver, Sending, Told, a_hop
from tests.support.certificates import Authority
from tests.support.commands import manage_with
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import SmtpPeer

DELIVERED, PENDING = Outcome.DELIVERED, Outcome.PENDING
HOST = f"mx.{DOMAIN}"


pytestmark = pytest.mark.usefixtures("trusts_authority")


SERVERS: dict[str, Callable[[Authority], ssl.SSLContext]] = {
    "good": lambda authority: authority.server(HOST),
    "self-signed": lambda authority: authority.self_signed(HOST),
    "wrong name": lambda authority: authority.server("elsewhere.test"),
    "expired": lambda authority: authority.server(HOST, days=-1),
    "broken": lambda authority: authority.without_certificate(),
}
WITHOUT_STARTTLS = "none"
# What of a policy and a certificate: encrypted, in clear text, or not at all.
EXPECTED = [
    *[("opportunistic", server, "encrypted") for server in ("good", "self-signed", "wrong name", "expired")],
    ("opportunistic", "broken", "clear"),
    ("opportunistic", WITHOUT_STARTTLS, "clear"),
    *[("encrypt", server, "encrypted") for server in ("good", "self-signed", "wrong name", "expired")],
    ("encrypt", "broken", "waits"),
    ("encrypt", WITHOUT_STARTTLS, "waits"),
    ("verify", "good", "encrypted"),
    *[("verify", server, "waits") for server in ("self-signed", "wrong name", "expired", "broken", WITHOUT_STARTTLS)],
    *[("none", server, "clear") for server in ("good", "broken", WITHOUT_STARTTLS)],
]


@pytest.mark.parametrize(("policy", "server", "expected"), EXPECTED)
def test_each_policy_with_each_certificate(
    peer: SmtpPeer, authority: Authority, spooled: Path, deliver: Deliver, policy: str, server: str, expected: str
) -> None:
    peer.tls = SERVERS[server](authority) if server != WITHOUT_STARTTLS else None
    [told] = deliver(a_leased_entry(spooled, to=BOB), tls_policy=policy)
    assert told.only.outcome is (PENDING if expected == "waits" else DELIVERED)
    assert [taken.encrypted for taken in peer.taken] == ([] if expected == "waits" else [expected == "encrypted"])
    [attempt] = told.attempts
    if expected == "encrypted":
        proof = "verified" if policy == "verify" else "unverified"
        assert attempt.tls.startswith("TLSv1.")
        assert attempt.tls.endswith(f"({proof})")
    else:
        assert attempt.tls == ""
    if expected == "waits":
        assert HOST in attempt.reply
        assert "TLS" in attempt.reply or "encryption" in attempt.reply


def test_a_failed_handshake_is_made_up_for_once_and_then_remembered(
    peer: SmtpPeer, authority: Authority, spooled: Path, deliver: Deliver, sending: Callable[..., object]
) -> None:
    peer.tls = authority.without_certificate()
    deliver(*[a_leased_entry(spooled, to=BOB) for _ in range(5)], max_per_destination=1)
    assert len(peer.taken) == 5
    assert len(peer.conversations) == 2, "one that failed, one for all five"
    assert peer.commands.count("STARTTLS") == 1


def test_a_host_that_refuses_its_own_starttls_gets_clear_text_only_where_that_is_allowed(
    peer: SmtpPeer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    peer.tls = authority.server(HOST)
    peer.on["STARTTLS"] = "454 4.7.0 TLS not available"
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED
    [told] = deliver(a_leased_entry(spooled, to=BOB), tls_policy="encrypt")
    assert told.only.outcome is PENDING
    assert "TLS not available" in told.only.reply


def test_where_encryption_is_only_an_offer_replies_slipped_in_end_it(
    peer: SmtpPeer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    peer.tls = authority.server(HOST)
    peer.on["STARTTLS"] = b"220 2.0.0 go ahead\r\n250-peer.test\r\n250 AUTH PLAIN\r\n"
    [told] = deliver(a_leased_entry(spooled, to=BOB), tls_policy="opportunistic")
    assert told.only.outcome is DELIVERED
    assert len(peer.taken) == 1


@pytest.mark.parametrize("policy", ["encrypt", "verify"])
def test_replies_slipped_in_before_the_handshake_end_the_connection(
    peer: SmtpPeer, authority: Authority, spooled: Path, deliver: Deliver, policy: str
) -> None:
    peer.tls = authority.server(HOST)
    peer.on["STARTTLS"] = b"220 2.0.0 go ahead\r\n250-peer.test\r\n250 AUTH PLAIN\r\n"
    [told] = deliver(a_leased_entry(spooled, to=BOB), tls_policy=policy)
    assert told.only.outcome is PENDING
    assert "more than its answer to STARTTLS" in told.only.reply
    assert peer.taken == []


def test_what_a_host_offered_before_encryption_does_not_count_after_it(
    peer: SmtpPeer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    """RFC 3207 4.2: a man in the middle could have written it."""
    peer.tls = authority.server(HOST)
    peer.on["EHLO"] = ["250-peer.test\r\n250-SIZE 10\r\n250 STARTTLS", "250 peer.test"]
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED
    assert peer.taken[0].mail == "MAIL FROM:<ann@example.org>"


@pytest.mark.parametrize(("server", "outcome"), [("good", DELIVERED), ("self-signed", PENDING), ("expired", PENDING)])
def test_tls_from_the_first_byte_needs_a_valid_certificate(
    dns: DNSServer, authority: Authority, spooled: Path, deliver: Deliver, server: str, outcome: Outcome
) -> None:
    dns.add(HOST, "A", "127.0.0.1")
    with SmtpPeer(tls=SERVERS[server](authority), implicit_tls=True) as host:
        hop = a_hop(HOST, host.port, TLSPolicy.IMPLICIT)
        [told] = deliver(a_leased_entry(spooled, to=BOB), hops={"*": hop}, smtp_out_port=1)
        assert told.only.outcome is outcome
        assert [taken.encrypted for taken in host.taken] == ([True] if outcome is DELIVERED else [])


def _log_in(
    deliver: Deliver, peer: SmtpPeer, spooled: Path, tls: TLSPolicy = TLSPolicy.VERIFY, password: str = "sésame"
) -> Told:
    hop = a_hop(HOST, peer.port, tls, username="us@far.test", password=password)
    [told] = deliver(a_leased_entry(spooled, to=CARL), hops={"*": hop})
    return told


@pytest.fixture
def smart_host(peer: SmtpPeer, authority: Authority) -> SmtpPeer:
    peer.tls = authority.server(HOST)
    peer.features.append("AUTH PLAIN LOGIN")
    peer.passwords = {"us@far.test": "sésame"}
    return peer


@pytest.mark.parametrize(
    ("offered", "used"),
    [
        ("AUTH PLAIN LOGIN", "PLAIN"),
        ("AUTH LOGIN PLAIN", "PLAIN"),
        ("AUTH LOGIN", "LOGIN"),
        ("AUTH login CRAM-MD5", "LOGIN"),
    ],
)
def test_a_smart_host_is_logged_in_to_with_what_it_offers(
    smart_host: SmtpPeer, spooled: Path, deliver: Deliver, offered: str, used: str
) -> None:
    smart_host.features[-1] = offered
    assert _log_in(deliver, smart_host, spooled).only.outcome is DELIVERED
    assert smart_host.conversations[0].login == [used]


@pytest.mark.parametrize("offered", ["AUTH PLAIN", "AUTH LOGIN"])
def test_a_wrong_password_leaves_mail_waiting_and_says_so(
    smart_host: SmtpPeer, spooled: Path, deliver: Deliver, offered: str
) -> None:
    smart_host.features[-1] = offered
    told = _log_in(deliver, smart_host, spooled, password="open")
    assert told.only.outcome is PENDING
    assert "answered the login: 535 5.7.8 wrong" in told.only.reply
    assert smart_host.taken == []


@pytest.mark.parametrize("policy", [TLSPolicy.OPPORTUNISTIC, TLSPolicy.NONE])
def test_a_password_never_goes_in_clear_text(
    smart_host: SmtpPeer, spooled: Path, deliver: Deliver, policy: TLSPolicy
) -> None:
    smart_host.tls = None
    told = _log_in(deliver, smart_host, spooled, policy)
    assert told.only.outcome is PENDING
    assert "without encryption" in told.only.reply
    assert not any("AUTH" in command for command in smart_host.commands)


@pytest.mark.django_db
def test_a_routes_password_is_sealed_at_rest_and_read_for_use(smart_host: SmtpPeer, home: object) -> None:
    token = seal("sésame")
    assert "sésame" not in token
    Route.objects.create(
        domain="*", host=HOST, tls=TLSPolicy.VERIFY, username="us@far.test", sealed_password=token, port=587
    )
    hop = routes.load().route_for("anywhere.test")
    assert hop is not None
    assert (hop.username, hop.password, hop.port) == ("us@far.test", "sésame", 587)


@pytest.mark.django_db
def test_a_password_sealed_by_another_installation_is_asked_for_again(
    smart_host: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    token = "gAAAAABnot-one-of-ours"
    with pytest.raises(CannotUnseal, match="enter it again"):
        unseal(token)
    Route.objects.create(
        domain="*",
        host=HOST,
        tls=TLSPolicy.VERIFY,
        username="us@far.test",
        sealed_password=token,
        port=smart_host.port,
    )
    hop = routes.load().route_for("anywhere.test")
    assert hop is not None
    [told] = deliver(a_leased_entry(spooled, to=BOB), hops={"*": hop})
    assert told.only.outcome is PENDING
    assert "enter it again" in told.only.reply


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("chosen", "verify", "holds"),
    [
        (TLSPolicy.ENCRYPT, True, TLSPolicy.VERIFY),
        (TLSPolicy.ENCRYPT, False, TLSPolicy.ENCRYPT),
        (TLSPolicy.OPPORTUNISTIC, True, TLSPolicy.VERIFY),
        (TLSPolicy.OPPORTUNISTIC, False, TLSPolicy.ENCRYPT),
        (TLSPolicy.NONE, False, TLSPolicy.ENCRYPT),
        (TLSPolicy.IMPLICIT, True, TLSPolicy.IMPLICIT),
    ],
)
def test_a_routes_password_asks_for_more_than_its_mail_does(chosen: TLSPolicy, verify: bool, holds: TLSPolicy) -> None:
    fields = {"host": HOST, "tls": chosen, "verify_for_login": verify}
    Route.objects.create(domain="*", username="us@far.test", **fields)
    Route.objects.create(domain="far.test", **fields)
    with_login, without = routes.load().route_for("anywhere.test"), routes.load().route_for("far.test")
    assert with_login is not None and without is not None
    assert (with_login.tls, without.tls) == (holds, chosen)


@pytest.mark.django_db
def test_a_new_route_sends_its_password_to_nobody_who_has_no_valid_certificate(
    peer: SmtpPeer, authority: Authority, spooled: Path, deliver: Deliver, home: object
) -> None:
    peer.tls = authority.self_signed(HOST)
    peer.features.append("AUTH PLAIN")
    peer.passwords = {"us@far.test": "sésame"}
    Route.objects.create(
        domain="*",
        host=HOST,
        port=peer.port,
        tls=TLSPolicy.ENCRYPT,
        username="us@far.test",
        sealed_password=seal("sésame"),
    )

    def hop() -> routes.NextHop:
        found = routes.load().route_for("far.test")
        assert found is not None
        return found

    [told] = deliver(a_leased_entry(spooled, to=CARL), hops={"*": hop()})
    assert told.only.outcome is PENDING and "certificate" in told.only.reply
    assert not any(conversation.login for conversation in peer.conversations)
    Route.objects.update(verify_for_login=False)
    [told] = deliver(a_leased_entry(spooled, to=CARL), hops={"*": hop()})
    assert told.only.outcome is DELIVERED


def test_a_host_that_failed_at_tls_for_one_domain_gets_nothing_in_clear_text_for_a_stricter_one(
    peer: SmtpPeer, authority: Authority, dns: DNSServer, spooled: Path, sending: Callable[..., Sending]
) -> None:
    peer.tls = authority.without_certificate()
    dns.add("strict.test", "MX", f"10 mx.{DOMAIN}.")
    first, second = a_leased_entry(spooled, to=BOB), a_leased_entry(spooled, to="ann@strict.test")
    hops = {"strict.test": a_hop(port=peer.port, tls=TLSPolicy.ENCRYPT)}

    async def run() -> list[Outcome]:
        async with sending(hops) as open_sending:
            told = [*await open_sending.send(first), *await open_sending.send(second)]
            return [one.only.outcome for one in told]

    assert asyncio.run(run()) == [DELIVERED, PENDING]
    assert [message.recipients for message in peer.taken] == [(BOB,)]


def test_a_connection_is_not_kept_longer_than_what_it_was_opened_by_is_believed(
    peer: SmtpPeer, spooled: Path, sending: Callable[..., Sending], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conversations() -> int:
        before = len(peer.conversations)
        async with sending() as open_sending:
            for _ in range(3):
                await open_sending.send(a_leased_entry(spooled, to=BOB))
        return len(peer.conversations) - before

    assert asyncio.run(conversations()) == 1
    monkeypatch.setattr(client, "OLDEST_SECONDS", -1.0)
    assert asyncio.run(conversations()) == 3


@pytest.mark.django_db
def test_the_newest_connection_of_each_kind_is_known_of_a_site(
    peer: SmtpPeer,
    authority: Authority,
    dns: DNSServer,
    spooled: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[Callable[[], None]] = []

    def send(**settings: object) -> None:
        async def go() -> None:
            brakes = Brakes(left.append)
            async with Sending(dns.address, {}, brakes=brakes, smtp_out_port=peer.port, **settings) as here:
                await here.send(a_leased_entry(spooled, to=BOB))

        asyncio.run(go())

    send()
    peer.tls = authority.server(HOST)
    send(tls_policy="verify")
    send(tls_policy="verify")
    for write in left:
        write()
    [verified, clear] = encryption.encryption_of([Key(HOST), Key("other.test")])[Key(HOST)]
    assert (verified.proof, verified.host, verified.domain) == (Proof.AUTHORITY, HOST, DOMAIN)
    assert verified.tls.endswith("(verified)")
    assert (clear.proof, clear.tls) == (Proof.CLEAR_TEXT, "")
    encryption.forget_old(clear.at + timedelta(days=14))
    assert encryption.encryption_of([Key(HOST)]) == {Key(HOST): [verified, clear]}
    shown = manage_with(capsys, monkeypatch, "spool")("destinations", "show", DOMAIN, "--json")
    assert [(row["verified by"], row["domain"]) for row in shown.json] == [("ca", DOMAIN), ("none", DOMAIN)]


@pytest.mark.django_db
def test_connections_of_long_ago_are_forgotten() -> None:
    now = timezone.now()
    old = encryption.Encryption(Proof.DANE, "TLSv1.3 X (verified by DANE)", HOST, DOMAIN, now - timedelta(days=15))
    encryption.remember([((Key(HOST), Proof.DANE), old)])
    assert encryption.encryption_of([Key(HOST)]) == {Key(HOST): [old]}
    encryption.forget_old(now)
    assert encryption.encryption_of([Key(HOST)]) == {}
