"""The pages, the command, and the policy that is served."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.models import Domain
from base.audit.models import AuditEvent
from base.one_row import OneRow
from mailspool.dns_records import policy
from spool.models import DkimKey, DomainRecord, Settings
from spool.signing import lifecycle
from tests.dns_records.conftest import ADDRESS, DOMAIN, HOST_NAME
from tests.support.commands import Manage, manage_with
from tests.support.dns import DNSServer, in_pieces

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("dns", "domain", "redis", "home")]
PAGE = f"/admin/dns/{DOMAIN}/"


def states(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-purpose="([^"]+)" data-state="([a-z]+)"', page))


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer
    return answer.content.decode()


def test_what_a_page_says_to_add_makes_it_green(administrator: Client, dns: DNSServer) -> None:
    assert "Not looked at yet" in text(administrator, PAGE)
    key = lifecycle.make(DOMAIN, "rsa", lifecycle.timezone.now())
    administrator.post(f"{PAGE}check/")
    before = states(text(administrator, PAGE))
    assert before["MX"] == before["SPF"] == before["DKIM"] == before["DMARC"] == "missing"
    for line in text(administrator, f"{PAGE}?as=zone").splitlines():
        name, _ttl, _in, kind, value = line.split(" ", 4)
        dns.add(name.rstrip("."), kind, in_pieces(key.record) if "DKIM1" in value else value)
    answer = administrator.post(f"{PAGE}check/", follow=True).content.decode()
    assert "Nothing is missing or wrong" in answer
    after = states(answer)
    assert {purpose for purpose, state in after.items() if state == "right"} >= {
        "MX",
        "SPF",
        "DKIM",
        "DMARC",
        "TLS-RPT",
    }
    assert not {"missing", "wrong", "unknown"} & set(after.values())
    [first, second] = AuditEvent.objects.filter(action="dns-check").order_by("pk")
    assert (first.actor, first.parameters, second.parameters) == ("admin@localhost", {"bad": 4}, {"bad": 0})


def test_octodns_has_the_same(administrator: Client) -> None:
    administrator.post(f"{PAGE}check/")
    zone = text(administrator, f"{PAGE}?as=octodns")
    assert zone.startswith("---\n'':\n- type: MX\n  ttl: 3600\n  value:\n    preference: 10\n")
    assert (
        "'_dmarc':\n- type: TXT\n  ttl: 3600\n  value: 'v=DMARC1\\; p=none\\; rua=mailto:postmaster@example.org'\n"
        in zone
    )


def test_the_list_shows_each_domain_and_the_host_first(administrator: Client, dns: DNSServer) -> None:
    for number in range(60):
        Domain.objects.create(name=f"d{number:02}.test")
    page = text(administrator, "/admin/dns/")
    assert page.index(f"This host, {HOST_NAME}") < page.index("d00.test") < page.index("d48.test")
    assert "d51.test" not in page
    following = re.search(r'href="(\?[^"]*after=[^"]+)">Next page', page)
    assert following is not None and "d51.test" in text(
        administrator, f"/admin/dns/{following[1].replace('&amp;', '&')}"
    )
    assert "No domain fits" in text(administrator, "/admin/dns/?q=nowhere")
    administrator.post(f"{PAGE}check/")
    page = text(administrator, "/admin/dns/?bad=1")
    assert DOMAIN in page and "d00.test" not in page


@pytest.mark.parametrize("path", ["elsewhere.test", "x", "a" * 300])
def test_what_is_no_domain_of_ours_is_nothing(administrator: Client, path: str) -> None:
    assert administrator.get(f"/admin/dns/{path}/").status_code == 404
    assert administrator.post(f"/admin/dns/{path}/check/").status_code == 404


def test_what_a_stranger_has_put_into_the_dns_is_text(administrator: Client, dns: DNSServer) -> None:
    dns.add(f"_dmarc.{DOMAIN}", "TXT", '"v=DMARC1; p=<script>alert(1)</script>"')
    page = administrator.post(f"{PAGE}check/", follow=True).content.decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;" in page


def serve_policy(mode: str, hosts: str = "") -> None:
    Settings.objects.update_or_create(pk=1, defaults={"mta_sts_mode": mode, "mta_sts_hosts": hosts})
    OneRow.forget()


class TestPolicy:
    URL = "/.well-known/mta-sts.txt"

    def test_it_is_served_to_who_asks_at_a_domain_of_ours(self, client: Client) -> None:
        serve_policy("enforce")
        answer = client.get(self.URL, headers={"host": f"mta-sts.{DOMAIN}"})
        assert answer.content.decode() == (f"version: STSv1\r\nmode: enforce\r\nmx: {HOST_NAME}\r\nmax_age: 604800\r\n")
        assert answer["Content-Type"] == "text/plain; charset=utf-8"

    def test_it_names_the_hosts_that_settings_say_on_every_machine(self, client: Client) -> None:
        serve_policy("testing", "mx1.example.org\nMX2.example.org\n")
        answer = client.get(self.URL, headers={"host": f"mta-sts.{DOMAIN}"})
        assert b"\r\nmx: mx1.example.org\r\nmx: mx2.example.org\r\n" in answer.content

    @pytest.mark.parametrize(
        "hosts",
        [
            "mx 1.example.org",
            "*",
            "*.",
            "mx.*.org",
            "a\nmx: b@c",
            "\n".join(["x.org"] * 2 + [f"h{n}.org" for n in range(21)]),
        ],
    )
    def test_what_is_no_host_is_refused(self, hosts: str, db: None) -> None:
        with pytest.raises(ValidationError):
            Settings(mta_sts_hosts=hosts).full_clean()

    @pytest.mark.parametrize(
        ("mode", "host"),
        [
            ("", f"mta-sts.{DOMAIN}"),
            ("enforce", DOMAIN),
            ("enforce", "mta-sts.elsewhere.test"),
            ("enforce", "mta-sts."),
        ],
    )
    def test_and_to_nobody_else(self, client: Client, mode: str, host: str) -> None:
        serve_policy(mode)
        assert client.get(self.URL, headers={"host": host}).status_code in (400, 404)

    def test_other_pages_are_not_at_that_host(self, client: Client) -> None:
        serve_policy("enforce")
        assert client.get("/admin/login/", headers={"host": f"mta-sts.{DOMAIN}"}).status_code == 400

    def test_its_id_is_another_for_another_policy(self, administrator: Client, dns: DNSServer) -> None:
        serve_policy("testing")
        first = policy.policy_id()
        dns.add(f"_mta-sts.{DOMAIN}", "TXT", f'"v=STSv1; id={first}"')
        page = administrator.post(f"{PAGE}check/", follow=True).content.decode()
        assert (states(page)["MTA-STS"], states(page)["Policy"]) == ("right", "missing")
        serve_policy("enforce")
        assert policy.policy_id() != first
        page = administrator.post(f"{PAGE}check/", follow=True).content.decode()
        assert states(page)["MTA-STS"] == "wrong"
        assert f"v=STSv1; id={policy.policy_id()}" in page


@pytest.mark.django_db(transaction=True)
class TestCommand:
    @pytest.fixture
    def dns_command(self, capsys: Any, monkeypatch: Any) -> Manage:
        return partial(manage_with(capsys, monkeypatch, "mailspool"), "dns")

    def test_show_and_check(self, dns_command: Manage, dns: DNSServer) -> None:
        ran = dns_command("check", DOMAIN, "--json")
        assert ran.status == 1 and "missing or wrong" in ran.err
        rows = {row["record"]: row for row in ran.json}
        assert (rows["MX"]["state"], rows["MX"]["wanted"]) == ("missing", f"10 {HOST_NAME}.")
        ran = dns_command("show", DOMAIN, "--zone")
        assert ran.status == 0 and f'{DOMAIN}. 3600 IN TXT "v=spf1 mx -all"' in ran.out.splitlines()
        assert {row["domain"] for row in dns_command("show", "--wrong", "--json").json} == {DOMAIN}

    def test_the_host_has_records_too(self, dns_command: Manage, dns: DNSServer) -> None:
        dns.add("7.113.0.203.in-addr.arpa", "PTR", f"{HOST_NAME}.")
        dns.add(HOST_NAME, "TXT", f'"v=spf1 ip4:{ADDRESS} -all"')
        ran = dns_command("check", "host", "--json")
        assert ran.status == 0
        assert {row["record"] for row in ran.json} == {"Address", "PTR", "Block list", "SPF", "DANE", "Resolver"}

    def test_one_that_is_none_of_ours(self, dns_command: Manage) -> None:
        ran = dns_command("check", "elsewhere.test")
        assert ran.status == 1 and "elsewhere.test is no domain of this server" in ran.err


def test_a_look_brings_keys_on(administrator: Client, dns: DNSServer) -> None:
    key = lifecycle.make(DOMAIN, "ed25519", lifecycle.timezone.now())
    dns.add(key.name, "TXT", in_pieces(key.record))
    administrator.post(f"{PAGE}check/")
    assert DkimKey.objects.get().state == "published"
    assert not DomainRecord.objects.filter(purpose="DKIM").exists()
