"""An internal network is nobody's proof; and when strangers come in from one, the administrator is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Domain, Role, User
from mailspool.inspection.clients import clients
from security import hidden, lists
from security.models import WhitelistEntry
from spool.models import Trace
from spool.rows import statements, traffic_batches
from spool.traffic import rollup

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]
GATEWAY = "172.17.0.1"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    hidden.forget()
    lists.forget()


def _writes(ip: str, *senders: str, auth_user: str = "") -> None:
    now = timezone.now()
    created = statements.db_time(now)
    traffic_batches.endings([("delivered", "local", sender, ip, "ann@here.test", created) for sender in senders], now)
    rollup.roll_up()
    Trace.objects.bulk_create(
        Trace(
            file_name=f"{number}.eml",
            sender=sender,
            recipient="ann@here.test",
            kind="local",
            outcome="delivered",
            client_ip=ip,
            auth_user=auth_user,
            attempts=1,
            size_bytes=1,
            created=now,
            ended=now - timedelta(minutes=1),
        )
        for number, sender in enumerate(senders)
    )


def _world(number: int = 8) -> list[str]:
    return [f"somebody@domain{one}.test" for one in range(number)]


@pytest.mark.parametrize("ip", [GATEWAY, "10.1.2.3", "192.168.1.1", "fd00::1", "fe80::1"])
def test_an_internal_network_is_not_vouched_for_until_somebody_does(ip: str) -> None:
    assert lists.current().whitelisted(ip, "smtp") and not lists.current().vouched_for(ip)  # type: ignore[arg-type]
    WhitelistEntry.objects.create(network=ip)
    lists.forget()
    assert lists.current().vouched_for(ip)


def test_this_machine_is_and_so_is_what_was_added() -> None:
    WhitelistEntry.objects.create(network="192.0.2.0/28")
    WhitelistEntry.objects.create(network="198.51.100.0/28", smtp=False, web=True)
    lists.forget()
    found = {ip: lists.current().vouched_for(ip) for ip in ("127.0.0.1", "::1", "192.0.2.7", "198.51.100.7", "8.8.8.8")}
    assert found == {"127.0.0.1": True, "::1": True, "192.0.2.7": True, "198.51.100.7": False, "8.8.8.8": False}


def test_strangers_from_an_internal_address_are_told_of() -> None:
    _writes(GATEWAY, *_world())
    assert hidden.addresses() == [GATEWAY] and GATEWAY in hidden.warning()
    [finding] = clients()
    assert finding.level == "warning" and "Behind NAT or in a container" in finding.sentence


def test_our_own_people_a_device_and_the_world_by_its_own_addresses_are_not() -> None:
    Domain.objects.create(name="here.test")
    _writes("192.168.1.9", *(f"user{number}@here.test" for number in range(20)))
    _writes("192.168.1.10", *_world(), auth_user="ann@here.test")
    _writes("192.168.1.11", *["printer@vendor.test"] * 20)
    _writes("192.0.2.7", *_world())
    assert not hidden.addresses() and not list(clients()) and hidden.warning() == ""


def test_nor_is_a_gateway_of_ours_that_is_let_off() -> None:
    _writes(GATEWAY, *_world())
    WhitelistEntry.objects.create(network=GATEWAY, spam_bypass=True)
    lists.forget()
    assert not hidden.addresses()


def test_a_whole_internal_network_that_is_let_off_is_told_of_all_the_more() -> None:
    WhitelistEntry.objects.filter(network="172.16.0.0/12").update(auth_bypass=True, spam_bypass=True)
    lists.forget()
    _writes(GATEWAY, *_world())
    assert hidden.addresses() == [GATEWAY]


@pytest.mark.parametrize(
    "view",
    [
        "security_whitelistentry_changelist",
        "security_blacklistentry_changelist",
        "security_loginblock_changelist",
        "quarantine_antispamsettings_changelist",
    ],
)
def test_the_pages_concerned_say_so(client: Client, view: str) -> None:
    client.force_login(User.objects.create(email="root@example.org", role=Role.SYSTEM_ADMINISTRATOR, password="!"))
    url = reverse(f"admin:{view}")
    assert GATEWAY not in client.get(url, follow=True).content.decode()
    _writes(GATEWAY, *_world())
    hidden.forget()
    assert f"mail comes in from {GATEWAY}" in client.get(url, follow=True).content.decode()
