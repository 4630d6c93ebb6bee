"""Remote delivery against hosts of the test's own making, by the real client, transport and DNS."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailspool.home import Home
from spool.delivery.remote import backoff, mta_sts, policy_store, tls_policy
from spool.delivery.remote.transaction import Transaction
from spool.delivery.remote.transport import Transport
from spool.delivery.routes import NextHop, RoutingTable
from spool.delivery.shaping import meter
from spool.delivery.shaping.brakes import Brakes
from spool.message.envelope import AttemptRecord, LeasedEntry, RecipientResult
from spool.models.recipient import Outcome
from spool.models.route import TLSPolicy
from spool.models.settings import Settings
from tests.support.certificates import Authority
from tests.support.dns import DNSServer
from tests.support.smtp_peer import SmtpPeer

DOMAIN = "far.test"
BOB, CARL, DAN = (f"{user}@{DOMAIN}" for user in ("bob", "carl", "dan"))


@pytest.fixture(autouse=True)
def _no_policies_are_kept(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Most of these tests have no database; those about kept policies have."""
    if "transactional_db" not in request.fixturenames:
        monkeypatch.setattr(policy_store, "read", list)
        monkeypatch.setattr(policy_store, "write", lambda *row: None)


@pytest.fixture(autouse=True)
def _nothing_rests() -> Iterator[None]:
    backoff.forget()
    yield
    backoff.forget()


@pytest.fixture(autouse=True)
def _nobody_has_had_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Redis runs, the turns of one test are not those of another."""
    monkeypatch.setattr(meter, "_PREFIX", f"mailspool:pace:{secrets.token_hex(4)}:")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusts_authority(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its certificates are valid, and nothing is known of anybody's policy."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    tls_policy.context_for.cache_clear()
    mta_sts.forget()
    yield
    tls_policy.context_for.cache_clear()
    mta_sts.forget()


@pytest.fixture
def spooled(home: Home) -> Path:
    """The folder that holds the messages of the test's entries."""
    folder = home.spool / "subspool0001"
    folder.mkdir()
    return folder


@pytest.fixture
def dns() -> Iterator[DNSServer]:
    with DNSServer() as server:
        yield server


@pytest.fixture
def peer(dns: DNSServer) -> Iterator[SmtpPeer]:
    """The host of DOMAIN."""
    with SmtpPeer() as peer:
        dns.add(DOMAIN, "MX", f"10 mx.{DOMAIN}.")
        dns.add(f"mx.{DOMAIN}", "A", "127.0.0.1")
        yield peer


@dataclass
class Told:
    """What the transport said of one entry."""

    results: list[RecipientResult] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)

    def of(self, address: str) -> RecipientResult:
        [result] = [result for result in self.results if result.recipient.address == address]
        return result

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return {result.recipient.address: result.outcome for result in self.results}

    @property
    def only(self) -> RecipientResult:
        [result] = self.results
        return result


class Sending:
    """A transport that a test hands entries to; inside `async with`, as a pass has it."""

    def __init__(
        self,
        resolver: str,
        hops: dict[str, NextHop],
        workers: int = 1,
        brakes: Brakes | None = None,
        **settings: object,
    ) -> None:
        self.transport = Transport("mail.test", workers, resolver, brakes=brakes)
        values = {"private_hosts": True, "connect_timeout_seconds": 5, "reply_timeout_seconds": 10, **settings}
        self.transport.configure(Settings(**values), RoutingTable(hops))
        self.told: dict[int, Told] = {}
        self._missing = 0
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Sending:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.transport.close(5)

    def put(self, *entries: LeasedEntry, lmtp: bool = False) -> None:
        for entry in entries:
            self.told[entry.id] = Told()
            self._missing += len(entry.recipients)
            self.transport.put(entry, entry.recipients, self._done, lmtp=lmtp)

    def _done(self, transaction: Transaction) -> None:
        told = self.told[transaction.entry.id]
        told.results += transaction.results
        told.attempts += transaction.attempts
        self._missing -= len(transaction.results)
        self._changed.set()

    async def all_told(self, seconds: float = 20.0) -> None:
        """Return when every recipient has its result."""
        async with asyncio.timeout(seconds):
            while self._missing:
                self._changed.clear()
                await self._changed.wait()

    async def send(self, *entries: LeasedEntry, lmtp: bool = False) -> list[Told]:
        self.put(*entries, lmtp=lmtp)
        await self.all_told()
        return [self.told[entry.id] for entry in entries]


Deliver = Callable[..., list[Told]]


@pytest.fixture
def sending(dns: DNSServer, request: pytest.FixtureRequest) -> Callable[..., Sending]:
    """Make a Sending whose mail goes to the port of `peer`; `hops` are routes by domain, the rest is settings."""

    def make(hops: dict[str, NextHop] | None = None, workers: int = 1, **settings: object) -> Sending:
        if "smtp_out_port" not in settings and "peer" in request.fixturenames:
            settings["smtp_out_port"] = request.getfixturevalue("peer").port
        return Sending(dns.address, hops or {}, workers, **settings)

    return make


@pytest.fixture
def deliver(sending: Callable[..., Sending]) -> Deliver:
    """Send entries together, wait for the results, close."""

    def run(*entries: LeasedEntry, lmtp: bool = False, **options: object) -> list[Told]:
        async def send() -> list[Told]:
            async with sending(**options) as open_sending:
                return await open_sending.send(*entries, lmtp=lmtp)

        return asyncio.run(send())

    return run


def a_hop(
    host: str = "127.0.0.1",
    port: int = 25,
    tls: TLSPolicy = TLSPolicy.OPPORTUNISTIC,
    *,
    username: str = "",
    password: str = "",
    source_address: str = "",
    max_connections: int = 0,
) -> NextHop:
    return NextHop(host, port, tls, username, password, source_address, max_connections)


def addresses(count: int, domain: str = DOMAIN) -> Sequence[str]:
    return [f"user{number}@{domain}" for number in range(count)]
