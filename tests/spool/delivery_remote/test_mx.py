"""Whom the DNS names as the hosts of a domain, asked of a real DNS server."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from base import resolvers
from spool.delivery.remote import mx
from spool.delivery.remote.mx import Exchangers, Host, NoRoute
from tests.support.dns import DNSServer
from tests.support.ports import free_port


def hosts(dns: DNSServer, domain: str = "far.test", *, use_mx: bool = True) -> list[Host]:
    return asyncio.run(Exchangers("mail.test", dns.address).hosts(domain, use_mx=use_mx))


def no_route(dns: DNSServer, domain: str = "far.test", *, use_mx: bool = True) -> NoRoute:
    with pytest.raises(NoRoute) as raised:
        hosts(dns, domain, use_mx=use_mx)
    return raised.value


def names(dns: DNSServer) -> list[str]:
    return [host.name for host in hosts(dns)]


def _hosts_of(dns: DNSServer, domain: str = "far.test", **preferences: int) -> None:
    for number, (name, preference) in enumerate(preferences.items(), 1):
        dns.add(domain, "MX", f"{preference} {name}.{domain}.")
        dns.add(f"{name}.{domain}", "A", f"127.0.1.{number}")


def test_hosts_come_in_the_order_of_their_preferences(dns: DNSServer) -> None:
    _hosts_of(dns, third=30, first=0, second=20)
    assert names(dns) == ["first.far.test", "second.far.test", "third.far.test"]


def test_hosts_of_equal_preference_share_the_mail(dns: DNSServer) -> None:
    _hosts_of(dns, a=10, b=10, c=10, last=20)

    async def firsts() -> Counter[str]:
        exchangers = Exchangers("mail.test", dns.address)
        orders = [await exchangers.hosts("far.test") for _ in range(200)]
        assert {order[-1].name for order in orders} == {"last.far.test"}
        return Counter(order[0].name for order in orders)

    counted = asyncio.run(firsts())
    assert set(counted) == {"a.far.test", "b.far.test", "c.far.test"}
    assert min(counted.values()) > 30
    assert dns.questions.count(("far.test", "MX")) == 1


def test_a_host_has_all_its_addresses_old_and_new(dns: DNSServer) -> None:
    dns.add("far.test", "MX", "10 mx.far.test.")
    dns.add("mx.far.test", "AAAA", "::1")
    dns.add("mx.far.test", "A", "127.0.0.1")
    assert hosts(dns) == [Host("mx.far.test", "127.0.0.1"), Host("mx.far.test", "::1")]


@pytest.mark.parametrize(("kind", "address"), [("A", "127.0.0.1"), ("AAAA", "::1")])
def test_without_mx_the_domain_itself_is_the_host(dns: DNSServer, kind: str, address: str) -> None:
    dns.add("far.test", kind, address)
    assert hosts(dns) == [Host("far.test", address)]


def test_a_domain_with_mx_is_never_its_own_host(dns: DNSServer) -> None:
    dns.add("far.test", "MX", "10 gone.far.test.")
    dns.add("far.test", "A", "127.0.0.1")
    trouble = no_route(dns)
    assert (trouble.status_code, trouble.permanent) == ("5.4.4", True)
    assert "gone.far.test" in trouble.reply


def test_null_mx_takes_no_mail(dns: DNSServer) -> None:
    dns.add("far.test", "MX", "0 .")
    dns.add("far.test", "A", "127.0.0.1")
    trouble = no_route(dns)
    assert (trouble.status_code, trouble.permanent) == ("5.1.10", True)


def test_a_domain_that_does_not_exist_is_final(dns: DNSServer) -> None:
    trouble = no_route(dns)
    assert (trouble.status_code, trouble.permanent) == ("5.1.2", True)
    assert "far.test" in trouble.reply


def test_a_domain_without_mx_and_address_is_final(dns: DNSServer) -> None:
    dns.add("far.test", "TXT", '"here I am"')
    trouble = no_route(dns)
    assert (trouble.status_code, trouble.permanent) == ("5.4.4", True)


@pytest.mark.parametrize("failure", ["SERVFAIL", "REFUSED", "DROP"])
@pytest.mark.parametrize("name", ["far.test", "mx.far.test"])
def test_a_failure_of_the_dns_is_for_a_while(
    dns: DNSServer, failure: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mx, "LOOKUP_SECONDS", 0.5)
    dns.add("far.test", "MX", "10 mx.far.test.")
    dns.fail(name, failure)
    trouble = no_route(dns)
    assert (trouble.status_code, trouble.permanent) == ("4.4.3", False)


def test_one_dangling_host_does_not_hide_the_others(dns: DNSServer) -> None:
    _hosts_of(dns, good=20)
    dns.add("far.test", "MX", "10 gone.far.test.")
    assert names(dns) == ["good.far.test"]


def test_a_host_that_may_still_have_an_address_keeps_the_mail_waiting(dns: DNSServer) -> None:
    dns.add("far.test", "MX", "10 broken.far.test.")
    dns.add("far.test", "MX", "20 gone.far.test.")
    dns.fail("broken.far.test", "SERVFAIL")
    assert not no_route(dns).permanent


def test_an_alias_for_the_domain_or_for_its_host_is_followed(dns: DNSServer) -> None:
    dns.add("far.test", "CNAME", "real.test.")
    dns.add("real.test", "MX", "10 alias.real.test.")
    dns.add("alias.real.test", "CNAME", "mx.real.test.")
    dns.add("mx.real.test", "A", "127.0.0.9")
    assert hosts(dns) == [Host("alias.real.test", "127.0.0.9")]


def test_mail_goes_only_to_hosts_that_are_better_than_we(dns: DNSServer) -> None:
    _hosts_of(dns, better=5, same=10, worse=20)
    dns.add("far.test", "MX", "10 MAIL.test.")
    assert names(dns) == ["better.far.test"]


def test_a_domain_whose_best_host_we_are_is_a_loop(dns: DNSServer) -> None:
    _hosts_of(dns, worse=20)
    dns.add("far.test", "MX", "10 mail.test.")
    trouble = no_route(dns)
    assert (trouble.status_code, trouble.permanent) == ("5.4.6", True)


@pytest.mark.parametrize(("domain", "ip"), [("[192.0.2.7]", "192.0.2.7"), ("[ipv6:2001:db8::7]", "2001:db8::7")])
def test_an_address_literal_asks_nothing(dns: DNSServer, domain: str, ip: str) -> None:
    assert hosts(dns, domain) == [Host(ip, ip)]
    assert dns.questions == []


@pytest.mark.parametrize("domain", ["[localhost]", "[1.2.3]", "[ipv6:zz]"])
def test_a_literal_that_is_no_address_is_final(dns: DNSServer, domain: str) -> None:
    assert no_route(dns, domain).permanent


def test_a_receiver_with_more_hosts_than_are_tried_is_the_same_for_all_its_domains(dns: DNSServer) -> None:
    """Also while one of them has no address. Its limits are kept by the names of its hosts."""
    for domain in ("far.test", "also.test"):
        for number in range(mx.MOST_HOSTS + 3):
            dns.add(domain, "MX", f"10 mx{number}.big.test.")
    for number in range(1, mx.MOST_HOSTS + 3):
        dns.add(f"mx{number}.big.test", "A", f"127.0.1.{number}")

    async def found() -> list[Sequence[str]]:
        exchangers = Exchangers("mail.test", dns.address)
        return [exchangers.names(domain, await exchangers.hosts(domain)) for domain in ("far.test", "also.test")]

    far, also = asyncio.run(found())
    assert far == also == tuple(sorted(f"mx{number}.big.test" for number in range(mx.MOST_HOSTS + 3)))


def test_a_domain_with_hundreds_of_hosts_is_not_tried_for_hours(dns: DNSServer) -> None:
    _hosts_of(dns, **{f"h{number}": 10 for number in range(40)})
    assert len(hosts(dns)) == mx.MOST_HOSTS


@pytest.mark.parametrize("text", [None, "", "search far.test\n"])
def test_a_machine_without_a_resolver_still_has_its_local_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    """A pass makes its Exchangers before it knows whether any mail is for others."""
    if text is not None:
        (tmp_path / "resolv.conf").write_text(text)
    monkeypatch.setattr(resolvers, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    monkeypatch.setattr(mx, "LOOKUP_SECONDS", 0.5)
    exchangers = Exchangers("mail.test")
    assert exchangers._resolver.nameservers == ["127.0.0.1"]
    # Where surely nobody answers.
    exchangers._resolver.port = free_port()
    with pytest.raises(NoRoute) as raised:
        asyncio.run(exchangers.hosts("far.test"))
    assert not raised.value.permanent


def test_the_systems_resolver_is_the_one_that_its_file_names(
    dns: DNSServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    monkeypatch.setattr(resolvers, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    _hosts_of(dns, mx=10)
    exchangers = Exchangers("mail.test")
    exchangers._resolver.port = int(dns.address.rpartition(":")[2])
    assert asyncio.run(exchangers.hosts("far.test")) == [Host("mx.far.test", "127.0.1.1")]


def test_a_routes_host_is_looked_up_by_its_address_alone(dns: DNSServer) -> None:
    dns.add("smart.test", "MX", "10 elsewhere.test.")
    dns.add("smart.test", "A", "127.0.0.5")
    assert hosts(dns, "smart.test", use_mx=False) == [Host("smart.test", "127.0.0.5")]
    assert hosts(dns, "127.0.0.6", use_mx=False) == [Host("127.0.0.6", "127.0.0.6")]


def test_a_slip_in_a_routes_host_keeps_the_mail_waiting(dns: DNSServer) -> None:
    trouble = no_route(dns, "smrat.test", use_mx=False)
    assert not trouble.permanent
    assert "smrat.test" in trouble.reply


def test_answers_are_kept_as_long_as_the_dns_allows(dns: DNSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    _hosts_of(dns, mx=10)
    now = time.monotonic
    ahead = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now() + ahead)

    async def ask(times: int) -> int:
        nonlocal ahead
        exchangers = Exchangers("mail.test", dns.address)
        for _ in range(times):
            await exchangers.hosts("far.test")
        first = dns.questions.count(("far.test", "MX"))
        ahead = 6.0
        await exchangers.hosts("far.test")
        return first

    assert asyncio.run(ask(5)) == 1
    assert dns.questions.count(("far.test", "MX")) == 2


def test_what_many_ask_at_once_is_asked_once(dns: DNSServer) -> None:
    _hosts_of(dns, mx=10)

    async def ask() -> None:
        exchangers = Exchangers("mail.test", dns.address)
        await asyncio.gather(*(exchangers.hosts("far.test") for _ in range(50)))

    asyncio.run(ask())
    assert dns.questions.count(("far.test", "MX")) == 1


def test_a_failure_is_kept_for_moments_only(dns: DNSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    dns.fail("far.test", "SERVFAIL")
    now = time.monotonic
    ahead = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now() + ahead)

    async def ask() -> list[Host]:
        nonlocal ahead
        exchangers = Exchangers("mail.test", dns.address)
        for _ in range(3):
            with pytest.raises(NoRoute):
                await exchangers.hosts("far.test")
        asked = len(dns.questions)
        dns._failures.clear()
        _hosts_of(dns, mx=10)
        ahead = mx.FAILURE_SECONDS + 1
        found = await exchangers.hosts("far.test")
        assert asked <= 3, "the resolver itself may ask again once or twice"
        return found

    assert asyncio.run(ask()) == [Host("mx.far.test", "127.0.1.1")]


def test_domains_with_the_same_hosts_ask_for_those_once(dns: DNSServer) -> None:
    dns.add("mx.far.test", "A", "127.0.1.1")
    for number in range(20):
        dns.add(f"d{number}.test", "MX", "10 mx.far.test.")

    async def ask() -> set[str]:
        exchangers = Exchangers("mail.test", dns.address)
        answers = await asyncio.gather(*(exchangers.hosts(f"d{number}.test") for number in range(20)))
        return {host.ip for answer in answers for host in answer}

    assert asyncio.run(ask()) == {"127.0.1.1"}
    assert dns.questions.count(("mx.far.test", "A")) == 1


def test_lookups_that_hang_keep_no_other_waiting(dns: DNSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx, "MOST_LOOKUPS", 2)
    monkeypatch.setattr(mx, "QUICK_SECONDS", 0.01)
    dns.fail("*.dead.test", "DROP")
    _hosts_of(dns, a=10)

    async def ask() -> tuple[list[str], int]:
        exchangers = Exchangers("mail.test", dns.address)
        hanging = [asyncio.ensure_future(exchangers.hosts(f"x{number}.dead.test")) for number in range(20)]
        await asyncio.sleep(0)
        found = [host.name for host in await exchangers.hosts("far.test")]
        ended = sum(lookup.done() for lookup in hanging)
        for lookup in hanging:
            lookup.cancel()
        return found, ended

    assert asyncio.run(ask()) == (["a.far.test"], 0), "before any of those that were there first has ended"
