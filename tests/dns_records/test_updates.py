"""Records put into the DNS by updates (RFC 2136), against a real primary name server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from base import dns_updates
from base.actions.perform import perform
from base.audit.models import AuditEvent
from base.dns_updates import Primary, UpdateFailed
from base.name_servers import NameServers
from base.sealed import seal, unseal
from mailspool.dns_records import asking, looking
from spool.actions.actor import Actor
from spool.actions.dkim import REMOVE_KEY, key_named
from spool.models import DkimKey, KeyState, UpdateServer
from spool.signing import lifecycle, publishing, ring
from tests.dns_records.conftest import DOMAIN, HOST_NAME
from tests.support.commands import Manage, manage_with
from tests.support.knot import KEY_NAME, SECRET, Knot

# A command closes the connections to the database when it is done.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("domain", "redis", "home")]
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
_HERE = ["mail IN A 203.0.113.7", '@ IN TXT "v=spf1 ip4:192.0.2.1 -all"', '@ IN TXT "verification=abc"']


@pytest.fixture
def knot(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Knot]:
    with Knot(tmp_path, DOMAIN, closed=["closed.test"], records=_HERE) as server:
        settings.MAILSPOOL_DNS, settings.MAILSPOOL_HOSTNAME = server.address, HOST_NAME
        for made in ((lifecycle, "servers_of_domains"), (asking, "servers")):
            monkeypatch.setattr(*made, lambda: NameServers(server.address, server.port))
        yield server
    ring.forget()


@pytest.fixture
def takes_updates(knot: Knot) -> UpdateServer:
    return UpdateServer.objects.create(
        domain="*", host="127.0.0.1", port=knot.port, key_name=KEY_NAME, sealed_secret=seal(SECRET)
    )


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "spool")


@pytest.fixture
def dns_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return partial(manage_with(capsys, monkeypatch, "mailspool"), "dns")


@pytest.mark.parametrize(
    ("key", "name", "kind", "said"),
    [
        ((KEY_NAME, SECRET, "hmac-sha256"), DOMAIN, "A", "does not know the key mailspool for this algorithm, or"),
        (("other", SECRET, "hmac-sha256"), DOMAIN, "TXT", "does not know the key other"),
        ((KEY_NAME, "AAAABBBB", "hmac-sha256"), DOMAIN, "TXT", "has another secret or algorithm"),
        ((KEY_NAME, SECRET, "hmac-sha512"), DOMAIN, "TXT", "does not know the key mailspool for this algorithm"),
        ((KEY_NAME, SECRET, "hmac-sha256"), "closed.test", "TXT", "or does not allow this by it"),
        ((KEY_NAME, SECRET, "hmac-sha256"), "far.test", "TXT", "it does not have this zone or key"),
    ],
)
def test_what_a_server_refuses_is_said(key: tuple[str, str, str], name: str, kind: str, said: str, knot: Knot) -> None:
    primary = Primary("127.0.0.1", knot.port, key)
    with pytest.raises(UpdateFailed, match=said):
        primary.replace(primary.read(name, kind), lambda _: False, ["192.0.2.1"])


def test_a_change_of_somebody_else_meanwhile_is_not_lost(knot: Knot) -> None:
    primary = Primary("127.0.0.1", knot.port, (KEY_NAME, SECRET, "hmac-sha256"))
    seen = primary.read(f"x.{DOMAIN}", "TXT")
    primary.replace(seen, lambda _: False, ["theirs"])
    with pytest.raises(UpdateFailed, match="has changed just now: look again"):
        primary.replace(seen, lambda _: True, ["ours"])
    assert knot.texts(f"x.{DOMAIN}") == ["theirs"]


def test_an_alias_does_not_come_beside_other_records(knot: Knot) -> None:
    primary = Primary("127.0.0.1", knot.port, (KEY_NAME, SECRET, "hmac-sha256"))
    with pytest.raises(UpdateFailed, match="has other records, and an alias can't stand beside them"):
        primary.replace(primary.read(f"mail.{DOMAIN}", "CNAME"), lambda _: False, [f"other.{DOMAIN}."])


def test_one_that_says_nothing_is_waited_for_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_updates, "UPDATE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        primary = Primary("127.0.0.1", silent.getsockname()[1], (KEY_NAME, SECRET, "hmac-sha256"))
        with pytest.raises(UpdateFailed, match="does not answer: not in time"):
            primary.read(DOMAIN, "TXT")


def test_a_key_is_published_revoked_and_taken_out_by_itself(knot: Knot, takes_updates: UpdateServer) -> None:
    key = lifecycle.make(DOMAIN, "rsa", NOW)

    def later(**time: float) -> DkimKey:
        publishing.send_due(NOW + timedelta(**time))
        lifecycle.look_at_due(NOW + timedelta(**time))
        key.refresh_from_db()
        return key

    assert (later(minutes=1).state, knot.texts(key.name)) == (KeyState.PUBLISHED, [key.record])
    assert later(hours=3).state == KeyState.ACTIVE
    lifecycle.retire(key, NOW + timedelta(days=90))
    lifecycle.tidy(NOW + timedelta(days=120))
    assert (later(days=120).state, knot.texts(key.name)) == (KeyState.REVOKED, ["v=DKIM1; k=rsa; p="])
    events = AuditEvent.objects.filter(action="dkim-publish").order_by("pk")
    assert [one.parameters["as"] for one in events] == ["good", "revoked"]
    target = key_named(key.name)
    assert target is not None
    done = perform(REMOVE_KEY, Actor.at_the_shell(), target)
    assert done.sentence == f"{key.name} is forgotten. 127.0.0.1 has removed its record."
    assert knot.texts(key.name) == []


def test_what_others_wrote_at_the_place_of_a_key_stays_and_it_is_said_why(
    knot: Knot, takes_updates: UpdateServer, manage: Manage
) -> None:
    Primary("127.0.0.1", knot.port, (KEY_NAME, SECRET, "hmac-sha256")).replace(
        Primary("127.0.0.1", knot.port, (KEY_NAME, SECRET, "hmac-sha256")).read(f"s1._domainkey.{DOMAIN}", "TXT"),
        lambda _: False,
        ["v=DKIM1; p=theirs"],
    )
    key = lifecycle.make(DOMAIN, "ed25519", NOW, "s1")
    publishing.send_due(NOW)
    ran = manage("dkim", "publish", key.name)
    assert ran.status == 1 and "another record stands at" not in ran.out
    assert f"Another record stands at {key.name}, and is left alone: “v=DKIM1; p=theirs”." in ran.err
    assert knot.texts(key.name) == ["v=DKIM1; p=theirs"]
    takes_updates.refresh_from_db()
    assert "left alone" in takes_updates.problem
    assert not AuditEvent.objects.filter(action="dkim-publish").exists()


def test_records_of_the_page_are_put_there_only_when_asked_and_replaced_only_when_shown(
    knot: Knot, takes_updates: UpdateServer, dns_command: Manage, administrator: Client
) -> None:
    unseen = dns_command("publish", DOMAIN, "--record", "SPF", "--replace")
    assert unseen.status == 1 and "There is nothing to publish for SPF: check the DNS now" in unseen.err
    looking.look_at(DOMAIN, NOW)
    page = administrator.get(f"/admin/dns/{DOMAIN}/").content.decode()
    assert "Publish by DNS update" in page and '"p-records": "SPF"' in page
    before = knot.texts(DOMAIN)
    kept = dns_command("publish", DOMAIN, "--record", "SPF")
    assert kept.status == 1
    assert "has “v=spf1 ip4:192.0.2.1 -all”. Choose to replace it, if “v=spf1 ip4:192.0.2.1 mx -all”" in kept.err
    tried = dns_command("publish", DOMAIN, "--record", "SPF", "--record", "DMARC", "--replace", "--dry-run")
    assert tried.status == 0 and "in the place of “v=spf1 ip4:192.0.2.1 -all”" in tried.out
    assert knot.texts(DOMAIN) == before and not knot.texts(f"_dmarc.{DOMAIN}")
    words = ["--record", "SPF", "--record", "DMARC", "--record", "TLS-RPT", "--record", "MX", "--replace"]
    assert dns_command("publish", DOMAIN, *words).out == "127.0.0.1 has 4 new records.\n"
    assert sorted(knot.texts(DOMAIN)) == ["v=spf1 ip4:192.0.2.1 mx -all", "verification=abc"]
    assert knot.texts(f"_dmarc.{DOMAIN}") == [f"v=DMARC1; p=none; rua=mailto:postmaster@{DOMAIN}"]
    assert knot.texts(DOMAIN, "MX") == [f"10 {HOST_NAME}."]
    event = AuditEvent.objects.get(action="dns-publish")
    assert event.done == 4 and event.parameters["gone"] == ["v=spf1 ip4:192.0.2.1 -all"]
    assert "in the place of v=spf1 ip4:192.0.2.1 -all" in administrator.get("/admin/audit/auditevent/").content.decode()
    # What it has by now is not what was shown: somebody else changed it since.
    again = dns_command("publish", DOMAIN, "--record", "SPF", "--replace")
    assert again.out == "All are there already.\n"
    primary = Primary("127.0.0.1", knot.port, (KEY_NAME, SECRET, "hmac-sha256"))
    primary.replace(primary.read(f"_dmarc.{DOMAIN}", "TXT"), lambda _: True, ["v=DMARC1; p=reject"])
    other = dns_command("publish", DOMAIN, "--record", "DMARC", "--replace")
    assert "which the last look did not find: check the DNS now" in other.err
    assert knot.texts(f"_dmarc.{DOMAIN}") == ["v=DMARC1; p=reject"]


def test_a_server_is_added_on_its_page_and_its_secret_is_sealed(administrator: Client) -> None:
    place = "/admin/spool/updateserver/add/"
    given = {"domain": "Example.ORG", "host": "ns1.example.org.", "port": "53", "key_name": "k", "enabled": "on"}
    given |= {"algorithm": "hmac-sha256"}
    for secret, said in (("", "Enter the secret of the key."), ("not base64!", "The secret has to be Base64")):
        assert said in administrator.post(place, given | {"secret": secret}).content.decode()
    assert "can&#x27;t be the name of a key" in administrator.post(
        place, given | {"secret": SECRET, "key_name": "a..b"}
    ).content.decode().replace("&#39;", "&#x27;")
    assert administrator.post(place, given | {"secret": SECRET}).status_code == 302
    row = UpdateServer.objects.get()
    assert (row.domain, row.host, unseal(row.sealed_secret)) == (DOMAIN, "ns1.example.org", SECRET)
    assert SECRET not in str(list(AuditEvent.objects.values_list("parameters", flat=True)))
    page = administrator.get(f"/admin/spool/updateserver/{row.pk}/change/").content.decode()
    assert SECRET not in page and row.sealed_secret not in page


def test_sweeps_do_not_wait_for_a_name_server_that_hangs(settings: Any) -> None:
    """Each would take ten seconds and more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, socket.create_server(("127.0.0.1", 0)) as mute:
        silent.bind(("127.0.0.1", 0))
        settings.MAILSPOOL_DNS = f"127.0.0.1:{silent.getsockname()[1]}"
        UpdateServer.objects.create(
            domain="*", host="127.0.0.1", port=mute.getsockname()[1], key_name=KEY_NAME, sealed_secret=seal(SECRET)
        )
        lifecycle.make(DOMAIN, "ed25519", NOW)
        works = (publishing.sender, lifecycle.looker, looking.looker)
        began = time.monotonic()
        for sweep in (publishing.sweep, lifecycle.sweep, looking.sweep):
            sweep()
        took = time.monotonic() - began
        assert all(work.is_running for work in works), "they would not have waited for it"
        assert took < dns_updates.UPDATE_SECONDS / 2
        for sweep in (publishing.sweep, lifecycle.sweep, looking.sweep):
            sweep()
    for work in works:
        work.wait(60)
    assert "does not answer" in DkimKey.objects.get().send_problem
