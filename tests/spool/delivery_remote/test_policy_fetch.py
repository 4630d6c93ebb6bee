"""Web servers of MTA-STS policies that drip, or answer oddly, take no turn of others (RFC 8461 3.3)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from spool.delivery.remote import mta_sts, policy_fetch
from spool.delivery.remote.mx import Exchangers
from spool.delivery.remote.policy_fetch import NotFetched
from tests.support.certificates import Authority
from tests.support.dns import DNSServer
from tests.support.dripping import DrippingServer
from tests.support.https import HttpsServer

GOOD = "good.test"
POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.good.test\r\nmax_age: 86400\r\n"
PATH = "/.well-known/mta-sts.txt"


pytestmark = pytest.mark.usefixtures("trusts_authority")


@pytest.fixture
def good(authority: Authority, dns: DNSServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    """The web server of a domain that means well, at 127.0.0.1."""
    with HttpsServer(authority.server(f"mta-sts.{GOOD}")) as server:
        monkeypatch.setattr(mta_sts, "HTTPS_PORT", server.port)
        server.pages[PATH] = (200, "text/plain", POLICY)
        announce(dns, GOOD, "127.0.0.1")
        yield server


def announce(dns: DNSServer, domain: str, ip: str) -> None:
    dns.add(f"_mta-sts.{domain}", "TXT", '"v=STSv1; id=1;"')
    dns.add(f"mta-sts.{domain}", "A", ip)


async def _fetched(ip: str, port: int) -> str:
    return await policy_fetch.fetch(f"mta-sts.{GOOD}", ip, port)


def test_servers_that_drip_headers_keep_no_policy_of_others_from_being_fetched(
    authority: Authority, dns: DNSServer, good: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_fetch, "MOST_PER_ADDRESS", 4)
    monkeypatch.setattr(policy_fetch, "FETCH_SECONDS", 3.0)
    domains = [f"drip{number}.test" for number in range(12)]
    for domain in domains:
        announce(dns, domain, "127.0.0.2")

    async def all_at_once() -> tuple[object, bool, list[mta_sts.Known]]:
        exchangers = Exchangers("mail.test", dns.address)
        slow = [asyncio.ensure_future(mta_sts.policy_for(domain, exchangers)) for domain in domains]
        while server.connections < 4:
            await asyncio.sleep(0.01)
        found = (await mta_sts.policy_for(GOOD, exchangers)).policy
        still = not any(task.done() for task in slow)
        assert server.connections == 4, "one address took more than its part"
        return found, still, list(await asyncio.gather(*slow))

    context = authority.server(*(f"mta-sts.{domain}" for domain in domains))
    with DrippingServer(context, "127.0.0.2", good.port) as server:
        found, still, slow = asyncio.run(all_at_once())
    assert isinstance(found, mta_sts.Policy) and found.enforced
    assert still, "the good one had to wait for those that drip"
    assert [known.policy for known in slow] == [None] * 12


def test_an_answer_that_drips_ends_after_its_time(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_fetch, "FETCH_SECONDS", 0.5)
    with (
        DrippingServer(authority.server(f"mta-sts.{GOOD}"), "127.0.0.1") as server,
        pytest.raises(NotFetched, match=r"no whole answer within 0\.5 s"),
    ):
        asyncio.run(_fetched("127.0.0.1", server.port))


def test_who_had_a_fair_time_gives_way_to_who_waits(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """All places are taken by servers that drip, each from an address of its own."""
    monkeypatch.setattr(policy_fetch, "MOST_AT_ONCE", 3)
    monkeypatch.setattr(policy_fetch, "FAIR_SECONDS", 0.3)
    monkeypatch.setattr(policy_fetch, "LOOK_SECONDS", 0.05)
    with HttpsServer(authority.server(f"mta-sts.{GOOD}")) as web:
        web.pages[PATH] = (200, "text/plain", POLICY)

        async def all_at_once() -> tuple[str, list[object]]:
            slow = [asyncio.ensure_future(_fetched(f"127.0.0.{number}", web.port)) for number in (2, 3, 4)]
            while sum(one.connections for one in drips) < 3:
                await asyncio.sleep(0.01)
            found = await _fetched("127.0.0.1", web.port)
            for task in slow:
                task.cancel()
            return found, list(await asyncio.gather(*slow, return_exceptions=True))

        context = authority.server(f"mta-sts.{GOOD}")
        drips = [DrippingServer(context, f"127.0.0.{number}", web.port) for number in (2, 3, 4)]
        with drips[0], drips[1], drips[2]:
            found, slow = asyncio.run(all_at_once())
    assert found == POLICY.decode()
    [gave_way] = [one for one in slow if isinstance(one, NotFetched)]
    assert "others wait for their turn" in str(gave_way)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nabc", "abc"),
        (b"HTTP/1.0 200\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nabc", "ab"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
            "abc",
        ),
    ],
    ids=["to the end", "by length", "in chunks"],
)
def test_answers_are_read_as_http_has_them(
    authority: Authority, answer: bytes, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _answering(authority, answer) as port:
        assert asyncio.run(_fetched("127.0.0.1", port)) == wanted


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.test ESMTP\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 500 \xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: x\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 999999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    ],
    ids=lambda answer: repr(answer[:50])[2:-1] or "nothing",
)
def test_an_odd_answer_is_no_policy(authority: Authority, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with _answering(authority, answer) as port, pytest.raises(NotFetched):
        asyncio.run(_fetched("127.0.0.1", port))


def test_a_web_server_that_is_not_there_is_named_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotFetched, match=r"(?i)refused|connect"):
        asyncio.run(_fetched("127.0.0.1", port))


class _answering:  # noqa: N801 (a context manager)
    """A TLS server that sends the same to whoever connects, and closes."""

    def __init__(self, authority: Authority, answer: bytes) -> None:
        self._context, self._answer = authority.server(f"mta-sts.{GOOD}"), answer
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *error: object) -> None:
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with self._context.wrap_socket(connection, server_side=True) as stream:
            asked = b""
            while b"\r\n\r\n" not in asked and (piece := stream.recv(4096)):
                asked += piece
            try:
                stream.sendall(self._answer)
                stream.unwrap()
            except OSError:
                # It has heard enough.
                return
