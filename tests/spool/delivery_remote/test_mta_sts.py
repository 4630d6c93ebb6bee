"""A domain's own word on encryption (RFC 8461), from a real DNS and a real HTTPS server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from spool import tasks
from spool.delivery.remote import backoff, mta_sts, policy_store
from spool.delivery.remote.mta_sts import InvalidPolicy, Policy, parse_policy, parse_record
from spool.models import MTASTSPolicy
from spool.models.recipient import Outcome
from tests.spool.delivery_remote.conftest import BOB, DOMAIN, Deliver, a_hop
from tests.support.certificates import Authority
from tests.support.dns import DNSServer
from tests.support.https import HttpsServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import SmtpPeer

DELIVERED, PENDING = Outcome.DELIVERED, Outcome.PENDING
HOST = f"mx.{DOMAIN}"
PATH = "/.well-known/mta-sts.txt"


pytestmark = pytest.mark.usefixtures("trusts_authority")


@pytest.fixture
def web(authority: Authority, dns: DNSServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    """The web server of DOMAIN's policy, which is announced in the DNS."""
    with HttpsServer(authority.server(f"mta-sts.{DOMAIN}")) as server:
        monkeypatch.setattr(mta_sts, "HTTPS_PORT", server.port)
        dns.add(f"_mta-sts.{DOMAIN}", "TXT", '"v=STSv1; id=20260302T120000;"')
        dns.add(f"mta-sts.{DOMAIN}", "A", "127.0.0.1")
        publish(server)
        yield server


def publish(web: HttpsServer, mode: str = "enforce", mx: str = HOST, max_age: int = 86400) -> None:
    text = f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {max_age}\r\n"
    web.pages[PATH] = (200, "text/plain; charset=utf-8", text.encode())


def _restart() -> None:
    """What is in memory is gone."""
    mta_sts.forget()
    backoff.forget()


@dataclass
class Ahead:
    """How far the clock of the policies is ahead of ours."""

    seconds: float = 0.0


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    now, ahead = time.monotonic, Ahead()
    monkeypatch.setattr(mta_sts.time, "monotonic", lambda: now() + ahead.seconds)
    return ahead


def test_an_enforced_policy_has_mail_go_encrypted_to_a_proved_host(
    peer: SmtpPeer, web: HttpsServer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    peer.tls = authority.server(HOST)
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED
    assert told.attempts[0].tls.endswith("(verified by MTA-STS)")
    assert web.requests == [(f"mta-sts.{DOMAIN}:{web.port}", PATH)]


def test_a_policy_proves_hosts_for_mail_that_requires_tls_and_counts_nothing_for_mail_that_does_not(
    peer: SmtpPeer, web: HttpsServer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    peer.tls = authority.server(HOST)
    peer.features.append("REQUIRETLS")
    [told] = deliver(a_leased_entry(spooled, to=BOB, tls_wish="required"))
    assert told.only.outcome is DELIVERED and told.attempts[0].tls.endswith("(verified by MTA-STS)")
    peer.tls = None
    [told, usual] = deliver(a_leased_entry(spooled, to=BOB, tls_wish="optional"), a_leased_entry(spooled, to=BOB))
    assert (told.only.outcome, usual.only.outcome) == (DELIVERED, PENDING)


@pytest.mark.parametrize("silent", ["record", "server"])
def test_mail_that_requires_tls_waits_while_it_is_not_known_whether_there_is_a_policy(
    peer: SmtpPeer,
    dns: DNSServer,
    web: HttpsServer,
    authority: Authority,
    spooled: Path,
    deliver: Deliver,
    silent: str,
) -> None:
    peer.tls = authority.server(HOST)
    peer.features.append("REQUIRETLS")
    pages = dict(web.pages)
    if silent == "record":
        dns.fail(f"_mta-sts.{DOMAIN}", "SERVFAIL")
    else:
        web.pages.clear()
    [told] = deliver(a_leased_entry(spooled, to=BOB, tls_wish="required"))
    assert (told.only.outcome, peer.taken) == (PENDING, [])
    assert "could not be looked up" in told.only.reply
    if silent == "record":
        dns._failures.clear()
        dns.clear(f"_mta-sts.{DOMAIN}")
    web.pages.update(pages)
    _restart()
    [told] = deliver(a_leased_entry(spooled, to=BOB, tls_wish="required"))
    assert told.only.outcome is (Outcome.BOUNCED if silent == "record" else DELIVERED)


def test_a_route_takes_mail_that_requires_tls_only_where_it_asks_for_a_certificate(
    peer: SmtpPeer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    peer.tls = authority.server("127.0.0.1")
    peer.features.append("REQUIRETLS")
    [told] = deliver(a_leased_entry(spooled, to=BOB, tls_wish="required"), hops={DOMAIN: a_hop(port=peer.port)})
    assert (told.only.outcome, told.only.status_code) == (Outcome.BOUNCED, "5.7.30")
    assert peer.conversations == []


@pytest.mark.parametrize("certificate", ["self-signed", "wrong name", "none"])
def test_an_enforced_policy_keeps_mail_from_a_host_that_proves_nothing(
    peer: SmtpPeer, web: HttpsServer, authority: Authority, spooled: Path, deliver: Deliver, certificate: str
) -> None:
    if certificate == "self-signed":
        peer.tls = authority.self_signed(HOST)
    elif certificate == "wrong name":
        peer.tls = authority.server("elsewhere.test")
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is PENDING
    assert peer.taken == []


def test_a_host_that_the_policy_does_not_name_gets_nothing(
    peer: SmtpPeer, web: HttpsServer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    publish(web, mx="other.far.test")
    peer.tls = authority.server(HOST)
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is PENDING
    assert told.only.reply == f"the MTA-STS policy of {DOMAIN} does not allow the hosts that the DNS names ({HOST})"
    assert peer.conversations == []


@pytest.mark.parametrize("mode", ["testing", "none"])
def test_a_policy_that_is_not_enforced_changes_nothing(
    peer: SmtpPeer, web: HttpsServer, spooled: Path, deliver: Deliver, mode: str
) -> None:
    publish(web, mode=mode, mx="other.far.test")
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED


def test_whoever_does_not_want_it_sends_as_before(
    peer: SmtpPeer, web: HttpsServer, spooled: Path, deliver: Deliver
) -> None:
    [told] = deliver(a_leased_entry(spooled, to=BOB), honour_mta_sts=False)
    assert told.only.outcome is DELIVERED
    assert web.requests == []


def test_a_route_is_stronger_than_a_policy(peer: SmtpPeer, web: HttpsServer, spooled: Path, deliver: Deliver) -> None:
    [told] = deliver(a_leased_entry(spooled, to=BOB), hops={DOMAIN: a_hop(port=peer.port)})
    assert told.only.outcome is DELIVERED
    assert web.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        (301, "text/plain", b"https://elsewhere.test/policy"),
        (404, "text/plain", b""),
        (200, "text/html", b"version: STSv1\nmode: enforce\nmx: x.test\nmax_age: 1\n"),
        (200, "text/plain", b"version: STSv1\nmode: enforce\nmx: x.test\nmax_age: 1\n" + b"mx: y.test\n" * 10_000),
        (200, "text/plain", b"<html>"),
    ],
    ids=["redirect", "missing", "html", "too large", "nonsense"],
)
def test_a_policy_that_can_not_be_had_is_as_good_as_none(
    peer: SmtpPeer, web: HttpsServer, spooled: Path, deliver: Deliver, answer: tuple[int, str, bytes]
) -> None:
    web.pages[PATH] = answer
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED


def test_a_policy_from_a_server_with_a_bad_certificate_does_not_count(
    peer: SmtpPeer, web: HttpsServer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    web.context = authority.self_signed(f"mta-sts.{DOMAIN}")
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED
    assert web.requests == []


def test_a_policy_outlives_its_record_and_its_server_but_not_its_age(
    peer: SmtpPeer,
    dns: DNSServer,
    web: HttpsServer,
    authority: Authority,
    spooled: Path,
    deliver: Deliver,
    ahead: Ahead,
) -> None:
    peer.tls = authority.server(HOST)
    deliver(a_leased_entry(spooled, to=BOB))
    # Somebody in the middle takes away what would tell us.
    peer.tls = None
    dns._records.pop(f"_mta-sts.{DOMAIN}")
    web.pages.clear()
    ahead.seconds = 4000.0
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is PENDING
    ahead.seconds = 90_000.0
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED


def test_a_policy_is_fetched_anew_long_before_it_ends(
    peer: SmtpPeer,
    dns: DNSServer,
    web: HttpsServer,
    authority: Authority,
    spooled: Path,
    deliver: Deliver,
    ahead: Ahead,
) -> None:
    """Otherwise somebody in the middle would only have to be there in the moment when it ends (RFC 8461 10.2)."""
    peer.tls = authority.server(HOST)
    deliver(a_leased_entry(spooled, to=BOB))
    ahead.seconds = 50_000.0
    # Whatever the record says: it may be hidden, too.
    dns._records.pop(f"_mta-sts.{DOMAIN}")
    deliver(a_leased_entry(spooled, to=BOB))
    assert len(web.requests) == 2
    peer.tls = None
    web.pages.clear()
    for seconds in (90_000.0, 100_000.0):
        ahead.seconds = seconds
        [told] = deliver(a_leased_entry(spooled, to=BOB))
        assert told.only.outcome is PENDING
    assert len(web.requests) == 3
    # One that can't be had is not asked for at each message.
    ahead.seconds = 101_000.0
    deliver(a_leased_entry(spooled, to=BOB))
    assert len(web.requests) == 3


def test_a_policy_that_ends_is_asked_for_at_once(
    peer: SmtpPeer,
    web: HttpsServer,
    authority: Authority,
    spooled: Path,
    deliver: Deliver,
    ahead: Ahead,
) -> None:
    peer.tls = authority.server(HOST)
    deliver(a_leased_entry(spooled, to=BOB))
    pages = dict(web.pages)
    web.pages.clear()
    ahead.seconds = 86_300.0
    deliver(a_leased_entry(spooled, to=BOB))
    web.pages.update(pages)
    peer.tls = None
    ahead.seconds = 86_450.0
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is PENDING


def test_a_policy_outlives_the_worker_that_found_it(
    transactional_db: None,
    peer: SmtpPeer,
    dns: DNSServer,
    web: HttpsServer,
    authority: Authority,
    spooled: Path,
    deliver: Deliver,
) -> None:
    peer.tls = authority.server(HOST)
    deliver(a_leased_entry(spooled, to=BOB))
    row = MTASTSPolicy.objects.get()
    assert (row.domain, row.record_id, row.mode, row.mx) == (DOMAIN, "20260302T120000", "enforce", [HOST])
    assert timedelta(hours=23) < row.expires - timezone.now() <= timedelta(hours=24)
    _restart()
    # Somebody in the middle waits for that moment.
    peer.tls = None
    dns._records.pop(f"_mta-sts.{DOMAIN}")
    web.pages.clear()
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is PENDING
    tasks.forget()
    _restart()
    assert MTASTSPolicy.objects.exists()
    MTASTSPolicy.objects.update(expires=timezone.now() - timedelta(seconds=1))
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED
    tasks.forget()
    assert not MTASTSPolicy.objects.exists()


def test_a_new_policy_takes_the_place_of_the_kept_one(
    transactional_db: None, peer: SmtpPeer, dns: DNSServer, web: HttpsServer, spooled: Path, deliver: Deliver
) -> None:
    deliver(a_leased_entry(spooled, to=BOB))
    _restart()
    dns._records[f"_mta-sts.{DOMAIN}"] = [("TXT", '"v=STSv1; id=2;"')]
    publish(web, mode="none")
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED
    assert MTASTSPolicy.objects.get().mode == "none"


def test_a_database_that_is_away_stops_neither_mail_nor_policy(
    peer: SmtpPeer,
    web: HttpsServer,
    authority: Authority,
    spooled: Path,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*row: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(policy_store, "read", away)
    monkeypatch.setattr(policy_store, "write", away)
    peer.tls = authority.server(HOST)
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.attempts[0].tls.endswith("(verified by MTA-STS)")


def test_a_new_record_brings_the_new_policy(
    peer: SmtpPeer, dns: DNSServer, web: HttpsServer, spooled: Path, deliver: Deliver, ahead: Ahead
) -> None:
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is PENDING
    dns._records[f"_mta-sts.{DOMAIN}"] = [("TXT", '"v=STSv1; id=2;"')]
    publish(web, mode="none")
    ahead.seconds = 4000.0
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is DELIVERED


def test_the_policy_is_fetched_once(
    peer: SmtpPeer, dns: DNSServer, web: HttpsServer, authority: Authority, spooled: Path, deliver: Deliver
) -> None:
    peer.tls = authority.server(HOST)
    for _ in range(3):
        deliver(a_leased_entry(spooled, to=BOB))
    assert len(web.requests) == 1
    assert dns.questions.count((f"_mta-sts.{DOMAIN}", "TXT")) == 1


@pytest.mark.parametrize(
    ("mx", "host", "allowed"),
    [
        ("mx.far.test", "MX.far.test", True),
        ("mx.far.test", "mx.far.test.", True),
        ("*.far.test", "a.far.test", True),
        ("*.far.test", "a.b.far.test", False),
        ("*.far.test", "far.test", False),
        ("mx.far.test", "amx.far.test", False),
    ],
)
def test_a_pattern_stands_for_one_label(mx: str, host: str, allowed: bool) -> None:
    assert Policy("enforce", (mx,), 1).allows(host) is allowed


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (
            "version: STSv1\nmode: enforce\nmx: A.test\nmx: *.b.test\nmax_age: 5\n",
            ("enforce", ("a.test", "*.b.test"), 5),
        ),
        ("version:STSv1\r\nmode:none\r\nmax_age:0", ("none", (), 0)),
        (
            "version: STSv1\nmode: testing\nmx: a.test\nmax_age: 99999999\nnew_thing: x\n",
            ("testing", ("a.test",), 31557600),
        ),
    ],
)
def test_a_policy_is_read(text: str, policy: tuple[str, tuple[str, ...], int]) -> None:
    assert parse_policy(text) == Policy(*policy)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mode: enforce\nmx: a.test\nmax_age: 5\n",
        "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 5\n",
        "version: STSv1\nmode: sometimes\nmx: a.test\nmax_age: 5\n",
        "version: STSv1\nmode: enforce\nmax_age: 5\n",
        "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: soon\n",
        "version: STSv1\nmode: enforce\nmx: a.test\n",
        "version: STSv1\nmode: enforce\nmax_age: 5\n" + "mx: a.test\n" * 101,
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(InvalidPolicy):
        parse_policy(text)


def test_a_field_full_of_blanks_is_read_once() -> None:
    # Tried from each of them it takes minutes.
    text = f"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 5\nnew: a{' ' * 60_000}b\n"
    assert parse_policy(text).mx == ("a.test",)


@given(st.text(max_size=300))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    try:
        policy = parse_policy(text)
    except InvalidPolicy:
        return
    assert policy.mode in ("enforce", "testing", "none")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["v=STSv1; id=1;"], "1"),
        (["v=spf1 -all", "v=STSv1;id=abc123"], "abc123"),
        (["v=STSv1; id=1;", "v=STSv1; id=2;"], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id=not good;"], None),
        ([], None),
    ],
)
def test_a_record_announces_a_policy_by_its_id(texts: list[str], expected: str | None) -> None:
    assert parse_record(texts) == expected
