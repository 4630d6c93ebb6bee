"""Hosts that the DNS names and mail does not go to: ourselves, and what is inside."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings as django_settings

from spool import own_hosts
from spool.delivery.remote.host_choice import usable
from spool.delivery.remote.mx import Host, NoRoute
from spool.models.recipient import Outcome
from spool.sockets.addresses import Address
from tests.spool.delivery_remote.conftest import BOB, DOMAIN, Deliver, a_hop
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.smtp_peer import SmtpPeer

PUBLIC, FAR = Host("mx1.far.test", "1.1.1.1", 10), Host("mx3.far.test", "2606:4700::1111", 30)
INSIDE = (
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:db8::1",
    "no address",
)


@pytest.mark.parametrize("ip", INSIDE)
def test_an_address_that_is_not_public_is_not_sent_to(ip: str) -> None:
    assert not own_hosts.is_public(ip)
    inside = Host("mx2.far.test", ip, 20)
    assert usable([PUBLIC, inside, FAR], "far.test", 2526, private=False) == [PUBLIC, FAR]
    assert usable([inside], "far.test", 2526, private=True) == [inside]
    with pytest.raises(NoRoute, match="no public address") as refused:
        usable([inside], "far.test", 2526, private=False)
    assert (refused.value.status_code, refused.value.permanent) == ("5.4.4", True)


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_host_that_is_ourselves_and_those_behind_it_are_left_out(ip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = {"smtp": (Address("0.0.0.0", 2525),), "submission": (), "smtps": (), "web": ()}
    monkeypatch.setattr(django_settings, "MAILSPOOL_LISTEN", listen)
    us = Host("mx2.far.test", ip, 20)
    beside = Host("mx4.far.test", "8.8.8.8", 20)
    assert usable([PUBLIC, beside, us, FAR], "far.test", 2525, private=True) == [PUBLIC]
    assert usable([us, FAR], "far.test", 2526, private=True) == [us, FAR], "another server of this machine"
    for port in (25, 2525):
        with pytest.raises(NoRoute, match="loops back to this server") as refused:
            usable([us, FAR], "far.test", port, private=True)
    assert (refused.value.status_code, refused.value.permanent) == ("5.4.6", True)


def test_an_address_of_another_machine_is_not_ours() -> None:
    assert own_hosts.is_ours("127.0.0.1") and own_hosts.is_ours("127.1.2.3")
    for ip in ("192.0.2.1", "2001:db8::1", "224.0.0.1", "nonsense", ""):
        assert not own_hosts.is_ours(ip)


def test_mail_for_a_domain_whose_host_is_private_comes_back_but_a_route_goes_there(
    peer: SmtpPeer, spooled: Path, deliver: Deliver
) -> None:
    [told] = deliver(a_leased_entry(spooled, to=BOB), private_hosts=False)
    assert told.only.outcome is Outcome.BOUNCED
    assert told.only.reply.startswith(f"the hosts of {DOMAIN} have no public address: mx.{DOMAIN} [127.0.0.1]")
    [told] = deliver(a_leased_entry(spooled, to="bob@[127.0.0.1]"), private_hosts=False)
    assert told.only.outcome is Outcome.BOUNCED
    [told] = deliver(a_leased_entry(spooled, to=BOB), hops={"*": a_hop(port=peer.port)}, private_hosts=False)
    assert told.only.outcome is Outcome.DELIVERED


def test_mail_that_would_come_back_to_us_is_sent_once_to_nobody(
    peer: SmtpPeer, dns: DNSServer, spooled: Path, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = {"smtp": (Address("127.0.0.1", peer.port),), "submission": (), "smtps": (), "web": ()}
    monkeypatch.setattr(django_settings, "MAILSPOOL_LISTEN", listen)
    [told] = deliver(a_leased_entry(spooled, to=BOB))
    assert told.only.outcome is Outcome.BOUNCED and told.only.status_code == "5.4.6"
    assert peer.conversations == []
