"""From a key's making to its end, with name servers that show what a test says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import Domain
from base.name_servers import NameServers
from base.one_row import OneRow
from base.sealed import unseal
from spool.models import DkimKey, KeyAlgorithm, KeyState, Settings
from spool.signing import lifecycle, ring
from tests.support.dns import TTL, DNSServer, in_pieces

pytestmark = pytest.mark.django_db
DOMAIN = "example.org"
NOW = datetime(2026, 11, 30, 5, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _no_key_is_kept(db: None) -> Iterator[None]:
    Domain.objects.create(name=DOMAIN)
    ring.forget()
    yield
    ring.forget()


@pytest.fixture
def dns() -> Iterator[DNSServer]:
    with DNSServer() as server:
        serve(server, DOMAIN)
        yield server


@pytest.fixture
def servers(dns: DNSServer) -> NameServers:
    return NameServers(dns.address, dns.port)


def serve(server: DNSServer, domain: str) -> None:
    server.add(domain, "SOA", f"ns.{domain}. root.{domain}. 1 3600 600 86400 60")
    server.add(domain, "NS", f"ns.{domain}.")
    server.add(f"ns.{domain}", "A", "127.0.0.1")


def show(server: DNSServer, key: DkimKey) -> None:
    server.clear(key.name)
    server.add(key.name, "TXT", in_pieces(key.record))


@pytest.mark.parametrize("algorithm", KeyAlgorithm.values)
def test_none_signs_before_the_dns_has_shown_it_for_long_enough(
    algorithm: str, dns: DNSServer, servers: NameServers
) -> None:
    key = lifecycle.make(DOMAIN, algorithm, NOW)
    assert str(lifecycle.look(key, NOW, servers)) == f"ns.{DOMAIN}: there is no record yet"
    assert (key.state, ring.load().signers) == (KeyState.PREPARED, {})
    show(dns, key)
    assert str(lifecycle.look(key, NOW + MINUTE, servers)) == ""
    assert (key.state, key.published, ring.load().signers) == (KeyState.PUBLISHED, NOW + MINUTE, {})
    wait = max(2 * timedelta(seconds=TTL), lifecycle.SHORTEST_WAIT)
    assert str(lifecycle.look(key, NOW + wait, servers)) == ""
    assert key.state == KeyState.PUBLISHED
    assert str(lifecycle.look(key, NOW + MINUTE + wait, servers)) == ""
    assert (key.state, key.active) == (KeyState.ACTIVE, NOW + MINUTE + wait)
    [signer] = ring.load().signers[DOMAIN]
    assert (signer.domain, signer.selector) == (DOMAIN, key.selector)


def active(dns: DNSServer, servers: NameServers, now: datetime = NOW, **given: Any) -> DkimKey:
    key = lifecycle.make(DOMAIN, given.get("algorithm", KeyAlgorithm.RSA.value), now)
    show(dns, key)
    for at in (now, now + timedelta(hours=1)):
        lifecycle.look(key, at, servers)
    assert key.state == KeyState.ACTIVE
    return key


def test_a_successor_takes_over_and_the_old_one_keeps_its_record_for_the_mail_on_its_way(
    dns: DNSServer, servers: NameServers
) -> None:
    old = active(dns, servers)
    other = active(dns, servers, algorithm="ed25519")
    new = active(dns, servers, NOW + timedelta(days=1))
    assert old.selector != new.selector
    old.refresh_from_db()
    other.refresh_from_db()
    assert (old.state, other.state) == (KeyState.RETIRING, KeyState.ACTIVE)
    assert [one.selector for one in ring.load().signers[DOMAIN]] == [new.selector, other.selector]
    assert old.retired is not None
    _swept(old.retired + Settings.current().lifetime + lifecycle.AFTER_RETIREMENT - MINUTE)
    old.refresh_from_db()
    assert old.state == KeyState.RETIRING and "p=M" in old.record
    _swept(old.retired + Settings.current().lifetime + lifecycle.AFTER_RETIREMENT + MINUTE)
    old.refresh_from_db()
    assert (old.state, old.sealed_private_key) == (KeyState.REVOKED, "")
    assert old.record.endswith("p=")


def _swept(now: datetime) -> None:
    """What a sweep and the hourly housekeeping do at some time, but for the looks."""
    DkimKey.objects.update(checked=now)
    lifecycle.look_at_due(now)
    lifecycle.tidy(now)


def test_a_key_that_can_not_be_looked_for_keeps_no_other_from_its_turn(
    dns: DNSServer, servers: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (lifecycle.make(DOMAIN, "rsa", NOW, selector) for selector in ("bad", "good"))
    look_for = lifecycle.look_for

    def fragile(key: DkimKey, *arguments: Any) -> Any:
        if key.pk == bad.pk:
            raise LookupError("nobody thought of this")
        return look_for(key, *arguments)

    monkeypatch.setattr(lifecycle, "look_for", fragile)
    lifecycle.look_at_due(NOW)
    assert set(DkimKey.objects.exclude(checked=None)) == {bad, good}


def test_a_key_whose_record_is_gone_signs_no_more_until_it_was_there_again(
    dns: DNSServer, servers: NameServers
) -> None:
    key = active(dns, servers)
    dns.clear(key.name)
    assert str(lifecycle.look(key, NOW + timedelta(days=1), servers)) == f"ns.{DOMAIN}: there is no record yet"
    assert key.state == KeyState.PREPARED and ring.load() is ring.NONE
    show(dns, key)
    lifecycle.look(key, NOW + timedelta(days=2), servers)
    assert key.state == KeyState.PUBLISHED and ring.load() is ring.NONE


def test_one_whose_record_comes_back_does_not_take_over_from_the_one_that_followed(
    dns: DNSServer, servers: NameServers
) -> None:
    old = active(dns, servers)
    dns.clear(old.name)
    lifecycle.look(old, NOW + timedelta(hours=2), servers)
    assert old.state == KeyState.PREPARED
    new = active(dns, servers, NOW + timedelta(hours=3))
    old.refresh_from_db()
    assert (old.state, old.retired) == (KeyState.RETIRING, NOW + timedelta(hours=4)), (
        "mail that it signed is on its way"
    )
    show(dns, old)
    for hours in (5, 6, 12):
        lifecycle.look(old, NOW + timedelta(hours=hours), servers)
    new.refresh_from_db()
    assert (old.state, new.state) == (KeyState.RETIRING, KeyState.ACTIVE)


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
def test_nothing_follows_from_no_answer(code: str, dns: DNSServer, servers: NameServers) -> None:
    key = active(dns, servers)
    dns.fail(key.name, code)
    assert code in str(lifecycle.look(key, NOW + timedelta(days=1), servers))
    assert key.state == KeyState.ACTIVE and DOMAIN in ring.load().signers
    dns.fail(DOMAIN, "SERVFAIL")
    assert "name servers" in str(lifecycle.look(key, NOW + timedelta(days=1), servers))
    assert key.state == KeyState.ACTIVE


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("v=DKIM1; k={k}; p=AAAA", "it shows another key"),
        ("v=DKIM1; k=ed25519; p={p}", "it says k=ed25519, the key is rsa"),
        ("v=DKIM1; k={k}; p=", "the key is revoked there (p= is empty)"),
        ("v=DKIM1; k={k}", "it has no p="),
        ("v=spf1 -all", "it is no DKIM record (v=DKIM1)"),
        ("v=DKIM1; h=sha1; p={p}", "it allows only h=sha1"),
        ("v=DKIM1; s=other; p={p}", "it is not for mail (s=other)"),
    ],
)
def test_a_record_that_receivers_could_not_use_is_said_to_be_wrong(
    record: str, problem: str, dns: DNSServer, servers: NameServers
) -> None:
    key = lifecycle.make(DOMAIN, "rsa", NOW)
    dns.add(key.name, "TXT", in_pieces(record.format(k="rsa", p=key.public_key)))
    assert str(lifecycle.look(key, NOW, servers)) == f"ns.{DOMAIN}: {problem}"
    assert key.state == KeyState.PREPARED


def test_blanks_and_a_missing_version_do_no_harm(dns: DNSServer, servers: NameServers) -> None:
    key = lifecycle.make(DOMAIN, "rsa", NOW)
    dns.add(key.name, "TXT", in_pieces(f" p = {key.public_key[:40]} {key.public_key[40:]} ; t=s;"))
    assert str(lifecycle.look(key, NOW, servers)) == ""


def test_two_records_are_wrong(dns: DNSServer, servers: NameServers) -> None:
    key = lifecycle.make(DOMAIN, "rsa", NOW)
    for record in (key.record, "v=DKIM1; p=AAAA"):
        dns.add(key.name, "TXT", in_pieces(record))
    assert str(lifecycle.look(key, NOW, servers)) == f"ns.{DOMAIN}: there are 2 records, where one is allowed"


@pytest.fixture
def host(dns: DNSServer) -> Iterator[DNSServer]:
    """The server of host.test, of which that of the domain only knows where it is."""
    serve(dns, "host.test")
    dns.clear("ns.host.test")
    dns.add("ns.host.test", "A", "127.0.0.2")
    with DNSServer("127.0.0.2", dns.port) as server:
        serve(server, "host.test")
        yield server


def test_a_selector_may_be_an_alias_into_a_zone_of_somebody_else(
    dns: DNSServer, host: DNSServer, servers: NameServers
) -> None:
    key = lifecycle.make(DOMAIN, "rsa", NOW)
    dns.add(key.name, "CNAME", "s1.host.test.")
    assert str(lifecycle.look(key, NOW, servers)) == f"ns.{DOMAIN}: there is no record yet"
    host.add("s1.host.test", "TXT", in_pieces(key.record))
    assert str(lifecycle.look(key, NOW, servers)) == ""
    assert key.state == KeyState.PUBLISHED


def test_aliases_in_a_circle_end(dns: DNSServer, host: DNSServer, servers: NameServers) -> None:
    key = lifecycle.make(DOMAIN, "rsa", NOW)
    dns.add(key.name, "CNAME", "s1.host.test.")
    host.add("s1.host.test", "CNAME", f"{key.name}.")
    assert str(lifecycle.look(key, NOW, servers)) == "more than 4 aliases lead to it"
    assert key.state == KeyState.PREPARED


def test_successors_are_made_by_themselves_once(dns: DNSServer, servers: NameServers) -> None:
    key = active(dns, servers)
    Settings.objects.update_or_create(pk=1, defaults={"dkim_rotation_days": 90})
    OneRow.forget()
    _swept(NOW + timedelta(days=80))
    assert DkimKey.objects.count() == 1
    for days in (100, 101):
        _swept(NOW + timedelta(days=days))
    made = DkimKey.objects.exclude(pk=key.pk).get()
    assert (made.state, made.algorithm) == (KeyState.PREPARED, "rsa")


def test_a_retired_key_signs_no_more_and_one_that_never_did_is_gone_at_once(
    dns: DNSServer, servers: NameServers
) -> None:
    key, unused = active(dns, servers), lifecycle.make(DOMAIN, "rsa", NOW)
    lifecycle.retire(key, NOW)
    lifecycle.retire(unused, NOW)
    assert (key.state, unused.state) == (KeyState.RETIRING, KeyState.REVOKED)
    assert ring.load() is ring.NONE


def test_keys_of_a_domain_that_was_removed_are_retired(dns: DNSServer, servers: NameServers) -> None:
    signs, waits = active(dns, servers), lifecycle.make(DOMAIN, "ed25519", NOW)
    lifecycle.tidy(NOW)
    assert ring.load().signers
    Domain.objects.all().delete()
    lifecycle.tidy(NOW)
    for key in (signs, waits):
        key.refresh_from_db()
    assert (signs.state, waits.state, ring.load().signers) == (KeyState.RETIRING, KeyState.REVOKED, {})
    Settings.objects.update_or_create(pk=1, defaults={"dkim_rotation_days": 1})
    OneRow.forget()
    lifecycle.tidy(NOW + timedelta(days=5))
    assert DkimKey.objects.count() == 2, "nobody needs a successor"


def test_private_keys_are_sealed_and_no_selector_is_used_twice() -> None:
    made = [lifecycle.make(DOMAIN, "rsa", NOW) for _ in range(3)]
    assert [key.selector for key in made] == ["202611r", "202611r2", "202611r3"]
    assert "PRIVATE" not in made[0].sealed_private_key
    assert unseal(made[0].sealed_private_key).startswith("-----BEGIN PRIVATE KEY-----")
    with pytest.raises(lifecycle.SelectorTaken, match="has a key with the selector 202611r already"):
        lifecycle.make(DOMAIN, "rsa", NOW, "202611r")
