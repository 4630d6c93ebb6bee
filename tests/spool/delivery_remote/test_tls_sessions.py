"""What is counted of TLS sessions for reports: real hosts, policies and certificates, each with its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connection

from spool.delivery.remote import mta_sts, opening, tls_sessions
from spool.delivery.remote.tls_results import NO_POLICY, AskedPolicy, PolicyType, Result, Session
from spool.delivery.remote.tls_sessions import Sessions
from spool.models import TLSSessions
from spool.models.recipient import Outcome
from spool.rows import statements
from tests.spool.delivery_remote.conftest import BOB, DOMAIN, Sending
from tests.support.certificates import Authority
from tests.support.dns import DNSServer
from tests.support.https import HttpsServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import SmtpPeer

pytestmark = pytest.mark.usefixtures("trusts_authority")

HOST = f"mx.{DOMAIN}"
Counted = list[tuple[str, str, str]]


class _Kept(Sessions):
    """Keeps what it is told, and writes nothing."""

    def __init__(self) -> None:
        super().__init__(lambda write: None)
        self.kept: list[Session] = []

    def configure(self, *, is_on: bool) -> None:
        super().configure(is_on=True)

    def count(self, session: Session) -> None:
        self.kept.append(session)


@pytest.fixture
def counted(peer: SmtpPeer, dns: DNSServer, spooled: Path) -> Callable[..., Counted]:
    """Sends a message, and says which sessions were counted: (policy, result, host)."""
    opening.forget()

    def send(outcome: Outcome = Outcome.DELIVERED, wish: str = "", **settings: object) -> Counted:
        async def run() -> list[Session]:
            async with Sending(dns.address, {}, smtp_out_port=peer.port, **settings) as sending:
                kept = sending.transport.sessions = _Kept()
                kept.configure(is_on=True)
                [told] = await sending.send(a_leased_entry(spooled, to=BOB, tls_wish=wish))
                assert told.only.outcome is outcome, told.only.reply
                return kept.kept

        found = asyncio.run(run())
        assert {one.domain for one in found} <= {DOMAIN}
        return [(one.policy.kind.value, one.result.value, one.host) for one in found]

    return send


@dataclass
class Case:
    """What a host presents under a policy of DOMAIN, and what is to be counted."""

    server: str
    mode: str
    results: Sequence[str]
    outcome: Outcome = Outcome.DELIVERED
    mx: str = HOST


W = Outcome.PENDING
CASES = {
    "no policy": Case("good", "", [""]),
    "no policy, any certificate will do": Case("self-signed", "", [""]),
    "no policy, clear text": Case("none", "", ["starttls-not-supported"]),
    "no policy, broken": Case("broken", "", ["validation-failure"]),
    "enforced": Case("good", "enforce", [""]),
    "enforced, self-signed": Case("self-signed", "enforce", ["certificate-not-trusted"], W),
    "enforced, expired": Case("expired", "enforce", ["certificate-expired"], W),
    "enforced, wrong name": Case("wrong name", "enforce", ["certificate-host-mismatch"], W),
    "enforced, clear text": Case("none", "enforce", ["starttls-not-supported"], W),
    "enforced, another host": Case("good", "enforce", ["validation-failure"], W, mx="other.far.test"),
    "tested": Case("good", "testing", [""]),
    "tested, self-signed": Case("self-signed", "testing", ["certificate-not-trusted"]),
    "tested, clear text": Case("none", "testing", ["starttls-not-supported"]),
    "tested, another host": Case("good", "testing", ["validation-failure"], mx="other.far.test"),
}


@pytest.fixture
def web(authority: Authority, dns: DNSServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    with HttpsServer(authority.server(f"mta-sts.{DOMAIN}")) as server:
        monkeypatch.setattr(mta_sts, "HTTPS_PORT", server.port)
        dns.add(f"_mta-sts.{DOMAIN}", "TXT", '"v=STSv1; id=1;"')
        dns.add(f"mta-sts.{DOMAIN}", "A", "127.0.0.1")
        yield server


def _publish(web: HttpsServer, mode: str, mx: str = HOST) -> None:
    text = f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n"
    web.pages["/.well-known/mta-sts.txt"] = (200, "text/plain", text.encode())


def _present(peer: SmtpPeer, authority: Authority, server: str) -> None:
    contexts = {
        "good": lambda: authority.server(HOST),
        "self-signed": lambda: authority.self_signed(HOST),
        "wrong name": lambda: authority.server("elsewhere.test"),
        "expired": lambda: authority.server(HOST, days=-1),
        "broken": authority.without_certificate,
        "none": lambda: None,
    }
    peer.tls = contexts[server]()


@pytest.mark.parametrize("name", CASES)
def test_each_session_is_counted_once_with_its_result(
    name: str, peer: SmtpPeer, web: HttpsServer, authority: Authority, counted: Callable[..., Counted]
) -> None:
    case = CASES[name]
    _present(peer, authority, case.server)
    if case.mode:
        _publish(web, case.mode, case.mx)
    else:
        mta_sts.forget()
        web.pages.clear()
    found = counted(case.outcome, honour_mta_sts=bool(case.mode))
    kind = "sts" if case.mode else "no-policy-found"
    assert found == [(kind, result, HOST) for result in case.results]


def test_a_policy_that_can_not_be_had_is_what_failed(
    peer: SmtpPeer, web: HttpsServer, authority: Authority, counted: Callable[..., Counted]
) -> None:
    _present(peer, authority, "good")
    assert counted() == [("sts", "sts-policy-fetch-error", HOST)]
    web.pages["/.well-known/mta-sts.txt"] = (200, "text/plain", b"version: STSv2\n")
    mta_sts.forget()
    assert counted() == [("sts", "sts-policy-invalid", HOST)]
    web.context = authority.self_signed(f"mta-sts.{DOMAIN}")
    mta_sts.forget()
    assert counted() == [("sts", "sts-webpki-invalid", HOST)]


def test_a_host_that_fails_a_policy_in_test_is_not_asked_twice_for_each_connection(
    peer: SmtpPeer, web: HttpsServer, authority: Authority, counted: Callable[..., Counted]
) -> None:
    _present(peer, authority, "self-signed")
    _publish(web, "testing")
    assert counted() == counted() == [("sts", "certificate-not-trusted", HOST)]
    assert len(peer.conversations) == 3, "one that failed the test, and two that took mail"
    assert [taken.encrypted for taken in peer.taken] == [True, True]


def test_a_session_that_does_without_tls_because_it_failed_lately_failed_for_the_same(
    peer: SmtpPeer, dns: DNSServer, authority: Authority, spooled: Path
) -> None:
    _present(peer, authority, "broken")

    async def run() -> list[Session]:
        async with Sending(dns.address, {}, smtp_out_port=peer.port, honour_mta_sts=False) as sending:
            kept = sending.transport.sessions = _Kept()
            kept.configure(is_on=True)
            for _ in range(2):
                [told] = await sending.send(a_leased_entry(spooled, to=BOB))
                assert told.only.outcome is Outcome.DELIVERED
                peer.say_goodbye(b"")
            return kept.kept

    first, second = asyncio.run(run())
    assert len(peer.conversations) == 3, "one that failed, and two that took mail"
    assert (second.result, second.reason) == (first.result, first.reason)
    assert second.result == "validation-failure" and second.reason


def test_mail_that_wants_nothing_of_tls_is_not_counted_as_reports_are_not(
    peer: SmtpPeer, authority: Authority, counted: Callable[..., Counted]
) -> None:
    _present(peer, authority, "good")
    assert counted(wish="optional") == []


def test_what_is_counted_adds_up_in_the_table(transactional_db: None) -> None:
    sts = AskedPolicy(PolicyType.STS, ("version: STSv1", "mode: enforce", f"mx: {HOST}", "max_age: 7"), (HOST,))
    good = Session("far.test", sts, Result.GOOD, HOST, "192.0.2.1", "192.0.2.9")
    bad = Session("far.test", sts, Result.EXPIRED, HOST, "192.0.2.1", "192.0.2.9", "long ago " * 100)
    plain = Session("other.test", NO_POLICY, Result.GOOD, "mx.other.test", "2001:db8::1", "2001:db8::9")

    async def count(*sessions: Session) -> None:
        writes: list[Callable[[], None]] = []
        counts = Sessions(writes.append)
        counts.configure(is_on=True)
        for session in sessions:
            counts.count(session)
        counts.write()
        assert len(writes) == bool(sessions)
        for write in writes:
            await asyncio.to_thread(_in_transaction, write)

    asyncio.run(count(good, good, bad, plain))
    asyncio.run(count(good, bad))
    asyncio.run(count())
    rows = TLSSessions.objects.order_by("domain", "result").values_list("domain", "result", "host", "count", "ip")
    assert list(rows) == [
        ("far.test", "", "", 3, ""),
        ("far.test", "certificate-expired", HOST, 2, "192.0.2.1"),
        ("other.test", "", "", 1, ""),
    ]
    row = TLSSessions.objects.get(result="certificate-expired")
    assert (row.policy_strings, row.policy_mx, len(row.reason)) == (list(sts.strings), [HOST], 200)


def test_no_more_is_kept_in_memory_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_sessions, "MOST_WAITING", 2)
    writes: list[Callable[[], None]] = []

    async def count() -> Sessions:
        counts = Sessions(writes.append)
        counts.configure(is_on=True)
        for number in (1, 2, 3, 1):
            counts.count(Session(f"d{number}.test", NO_POLICY, Result.GOOD, "mx"))
        return counts

    counts = asyncio.run(count())
    assert sorted(key.domain for key in counts._waiting) == ["d1.test", "d2.test"]
    assert sum(number for _, number in counts._waiting.values()) == 3


def _in_transaction(write: Callable[[], None]) -> None:
    try:
        with statements.write_transaction():
            write()
    finally:
        connection.close()
