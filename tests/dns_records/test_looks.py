"""Each record as name servers may have it, and what is said about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography import x509
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Domain
from base.one_row import OneRow
from mailspool.dns_records import looking, shown, verdicts
from mailspool.dns_records.names import HOST
from spool.actions.source_addresses import states_of
from spool.alerts.watches import watch_of
from spool.delivery import sources
from spool.delivery.policies import State, tried_resolver
from spool.models import AlertRule, Destination, DkimKey, DomainRecord, KeyState, RecordState, Settings, SourceAddress
from spool.models.dns import BLOCK_LIST
from spool.signing import lifecycle
from tests.dns_records.conftest import ADDRESS, DOMAIN, HOST_NAME
from tests.support.certificates import Authority
from tests.support.dns import DNSServer, in_pieces
from tests.support.signed_dns import SignedDNS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("dns", "domain")]
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
RIGHT, WRONG, MISSING, OPTIONAL, UNKNOWN = (
    RecordState.RIGHT,
    RecordState.WRONG,
    RecordState.MISSING,
    RecordState.OPTIONAL,
    RecordState.UNKNOWN,
)


def looked(purpose: str, domain: str = DOMAIN) -> shown.Shown:
    looking.look_at(domain, NOW)
    [found] = [one for one in shown.records_of(domain) if one.purpose == purpose]
    return found


@pytest.mark.parametrize(
    ("records", "state", "words"),
    [
        ([], MISSING, "finds no mail server"),
        ([f"10 {HOST_NAME}."], RIGHT, "comes here"),
        ([f"20 {HOST_NAME}.", "10 filter.test."], RIGHT, "where filter.test is away"),
        (["10 alias.example.org."], RIGHT, "to alias.example.org"),
        (["10 mx.elsewhere.test."], WRONG, "goes to mx.elsewhere.test"),
        (["10 203.0.113.7."], WRONG, "has to name a host"),
        (["0 ."], WRONG, "takes no mail"),
    ],
)
def test_mx(records: list[str], state: RecordState, words: str, dns: DNSServer) -> None:
    dns.add("alias.example.org", "A", ADDRESS)
    for record in records:
        dns.add(DOMAIN, "MX", record)
    found = looked("MX")
    assert (found.state, found.wanted) == (state, f"10 {HOST_NAME}.")
    assert words in found.sentence


@pytest.mark.parametrize(
    ("mx", "named", "state"),
    [
        ("alias.example.org", "", WRONG),
        ("alias.example.org", "alias.example.org", RIGHT),
        ("alias.example.org", "MAIL.example.org\n *.example.org\n", RIGHT),
        (HOST_NAME, "", RIGHT),
        (HOST_NAME, "alias.example.org", WRONG),
    ],
)
def test_an_mx_that_our_own_mta_sts_policy_does_not_name_gets_no_mail(
    mx: str, named: str, state: RecordState, dns: DNSServer
) -> None:
    Settings.objects.update_or_create(pk=1, defaults={"mta_sts_mode": "enforce", "mta_sts_hosts": named})
    OneRow.forget()
    dns.add("alias.example.org", "A", ADDRESS)
    dns.add(DOMAIN, "MX", f"10 {mx}.")
    found = looked("MX")
    assert found.state == state
    assert (f"sends nothing to {mx}" in found.sentence) == (state is WRONG)


@pytest.mark.parametrize(
    ("records", "state", "words", "wanted"),
    [
        ([], MISSING, "Nobody can tell", "v=spf1 mx -all"),
        (["v=spf1 mx -all"], RIGHT, f"from {ADDRESS} passes", "v=spf1 mx -all"),
        (["v=spf1 ip4:203.0.113.0/24 ~all"], RIGHT, "passes", "v=spf1 mx -all"),
        (["v=spf1 ip4:192.0.2.1 -all"], WRONG, "does not pass by it (fail)", "v=spf1 ip4:192.0.2.1 mx -all"),
        (["v=spf1 ip4:192.0.2.1 ~ALL"], WRONG, "(softfail)", "v=spf1 ip4:192.0.2.1 mx ~ALL"),
        (["v=spf1"], WRONG, "(neutral)", "v=spf1 mx"),
        (["v=spf1 mx +all"], WRONG, "everybody", "v=spf1 mx -all"),
        (["v=spf1 mx moo -all"], WRONG, "can't use it", "v=spf1 mx -all"),
        (["v=spf1 include:gone.example.org -all"], WRONG, "can't use it", "v=spf1 mx -all"),
        (["v=spf1 mx -all", "v=spf1 a -all"], WRONG, "2 SPF records", "v=spf1 mx -all"),
        (["verification=abc", "v=spf1 mx -all"], RIGHT, "passes", "v=spf1 mx -all"),
    ],
)
def test_spf(records: list[str], state: RecordState, words: str, wanted: str, dns: DNSServer) -> None:
    dns.add(DOMAIN, "MX", f"10 {HOST_NAME}.")
    for record in records:
        dns.add(DOMAIN, "TXT", f'"{record}"')
    found = looked("SPF")
    assert (found.state, found.wanted) == (state, wanted)
    assert words in found.sentence


def test_each_address_that_mail_goes_out_from_has_to_pass(dns: DNSServer) -> None:
    Settings.objects.update_or_create(pk=1, defaults={"source_address": "203.0.113.8"})
    OneRow.forget()
    dns.add(DOMAIN, "TXT", '"v=spf1 ip4:203.0.113.7 -all"')
    assert "203.0.113.8 does not pass" in looked("SPF").sentence


@pytest.mark.parametrize(
    ("records", "state", "words"),
    [
        ([], MISSING, "anybody can send in the name"),
        (["v=DMARC1; p=none"], RIGHT, "nothing yet"),
        (["v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org"], RIGHT, "spam"),
        (["v = DMARC1 ;p = reject;"], RIGHT, "refuse"),
        (["v=DMARC1; rua=mailto:x@example.org"], WRONG, "p= is missing"),
        (["v=DMARC1; p=strict"], WRONG, "p= is strict"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], WRONG, "2 DMARC records"),
    ],
)
def test_dmarc(records: list[str], state: RecordState, words: str, dns: DNSServer) -> None:
    for record in records:
        dns.add(f"_dmarc.{DOMAIN}", "TXT", f'"{record}"')
    found = looked("DMARC")
    assert found.state == state and words in found.sentence


@pytest.mark.parametrize(
    ("address", "state", "words"),
    [
        ("postmaster@example.org!10m", RIGHT, "refuse mail"),
        ("postmaster@example.org,mailto:gone@example.org", WRONG, "Reports to gone@example.org are refused"),
        ("a@agreed.test", RIGHT, "refuse mail"),
        ("a@other.test", WRONG, "at example.org._report._dmarc.other.test"),
        ("a@silent.test", RIGHT, "refuse mail"),
        ("a@reports.elsewhere.example.org", RIGHT, "refuse mail"),
    ],
)
def test_reports_get_to_who_is_named(address: str, state: RecordState, words: str, dns: DNSServer) -> None:
    dns.add(f"{DOMAIN}._report._dmarc.agreed.test", "TXT", '"v=DMARC1;"')
    dns.fail(f"{DOMAIN}._report._dmarc.silent.test", "SERVFAIL")
    dns.add(f"_dmarc.{DOMAIN}", "TXT", f'"v=DMARC1; p=reject; rua=mailto:{address}"')
    found = looked("DMARC")
    assert found.state == state and words in found.sentence


@pytest.mark.parametrize(
    ("record", "state", "words"),
    [
        ("", OPTIONAL, "nobody tells you"),
        ("v=TLSRPTv1; rua=mailto:postmaster@example.org", RIGHT, "mailto:postmaster@example.org"),
        ("v=TLSRPTv1; rua=mailto:tls@example.org", WRONG, "tls@example.org are refused"),
        ("v=TLSRPTv1; rua=mailto:tls@elsewhere.test", RIGHT, "tls@elsewhere.test"),
        ("v=TLSRPTv1; rua=tls@example.org", WRONG, "names no address"),
    ],
)
def test_tls_rpt(record: str, state: RecordState, words: str, dns: DNSServer) -> None:
    if record:
        dns.add(f"_smtp._tls.{DOMAIN}", "TXT", f'"{record}"')
    found = looked("TLS-RPT")
    assert found.state == state and words in found.sentence


def test_dkim_keys_come_with_their_records_and_without_one_it_is_said(dns: DNSServer) -> None:
    assert (looked("DKIM").state, looked("DKIM").wanted) == (MISSING, "")
    key = lifecycle.make(DOMAIN, "rsa", NOW)
    found = looked("DKIM")
    assert (found.state, found.name, found.wanted) == (MISSING, key.name, key.record)
    dns.add(key.name, "TXT", in_pieces(key.record))
    assert looked("DKIM").state == RIGHT
    assert DkimKey.objects.get().state == KeyState.PUBLISHED
    dns.clear(key.name)
    dns.add(key.name, "TXT", '"v=DKIM1; p="')
    assert looked("DKIM").state == WRONG
    assert "signed by it yet" in looked("DKIM").sentence
    DkimKey.objects.update(active=NOW)
    assert "signs no more" in looked("DKIM").sentence
    DkimKey.objects.update(state=KeyState.RETIRING)
    assert (looked("DKIM").state, "on its way" in looked("DKIM").sentence) == (WRONG, True)
    dns.clear(key.name)
    assert (looked("DKIM").state, "on its way" in looked("DKIM").sentence) == (MISSING, True)


class TestHost:
    def test_it_is_called_as_it_greets(self, dns: DNSServer) -> None:
        looking.look_at(HOST, NOW)
        found = {(one.purpose, one.kind): one for one in shown.records_of(HOST)}
        assert found["Address", "A"].state == RIGHT
        assert found["Address", "AAAA"].state == OPTIONAL
        assert (found["PTR", "PTR"].state, found["PTR", "PTR"].name) == (MISSING, "7.113.0.203.in-addr.arpa")
        dns.add("7.113.0.203.in-addr.arpa", "PTR", "host7.provider.test.")
        assert "is called host7.provider.test" in looked("PTR", HOST).sentence
        dns.clear("7.113.0.203.in-addr.arpa")
        dns.add("7.113.0.203.in-addr.arpa", "PTR", f"{HOST_NAME}.")
        assert looked("PTR", HOST).state == RIGHT

    def test_each_source_address_is_called_as_it_greets(self, dns: DNSServer) -> None:
        SourceAddress.objects.create(address="203.0.113.8", ehlo_name="out.example.org")
        sources.forget()
        dns.add("8.113.0.203.in-addr.arpa", "PTR", f"{HOST_NAME}.")
        assert "and greets as out.example.org" in looked("PTR", HOST).sentence
        dns.clear("8.113.0.203.in-addr.arpa")
        dns.add("8.113.0.203.in-addr.arpa", "PTR", "out.example.org.")
        assert looked("PTR", HOST).state == RIGHT
        assert states_of(SourceAddress.objects.all())["203.0.113.8"].ptr == RIGHT

    def test_an_address_of_ours_on_a_block_list_is_always_news(self, dns: DNSServer) -> None:
        lists = "bad.lists.test\nclosed.lists.test\nclean.lists.test\nodd.lists.test"
        Settings.objects.update_or_create(pk=1, defaults={"own_block_lists": lists})
        OneRow.forget()
        for last, zone, answer in ((7, "bad", "127.0.0.2"), (7, "closed", "127.255.255.254"), (7, "odd", "192.0.2.1")):
            dns.add(f"{last}.113.0.203.{zone}.lists.test", "A", answer)
        dns.add("7.113.0.203.bad.lists.test", "TXT", '"Spam was seen"')
        looking.look_at(HOST, NOW)
        found = {one.name.partition("203.")[2]: one for one in shown.records_of(HOST) if one.purpose == BLOCK_LIST}
        assert {name.partition(".")[0]: one.state for name, one in found.items()} == {
            "bad": WRONG,
            "closed": UNKNOWN,
            "clean": RIGHT,
            "odd": RIGHT,
        }
        assert found["bad.lists.test"].sentence.startswith(
            f"{ADDRESS} is on the block list bad.lists.test: Spam was seen."
        )
        assert not found["bad.lists.test"].shows_wanted
        row = SourceAddress.objects.create(address=ADDRESS)
        assert len(states_of([row])[ADDRESS].listed) == 1
        rule, watch = AlertRule(name="DNS", kind="dns", threshold=1), watch_of("dns")
        assert watch.values(rule, NOW, ())["host"] >= 1
        assert watch.sentence("host", 1, rule).startswith(f"{ADDRESS} is on the block list bad.lists.test")

    def test_dane_is_compared_with_the_certificate(self, dns: DNSServer, tmp_path: Path) -> None:
        certificate, key = Authority(tmp_path).files(tmp_path, HOST_NAME)
        Settings.objects.update_or_create(pk=1, defaults={"tls_certificate": str(certificate), "tls_key": str(key)})
        OneRow.forget()
        found = looked("DANE", HOST)
        assert found.state == OPTIONAL
        wanted = verdicts.tlsa_of(x509.load_pem_x509_certificate(certificate.read_bytes()))
        assert found.wanted == wanted
        dns.add(f"_25._tcp.{HOST_NAME}", "TLSA", f"3 1 1 {'ab' * 32}")
        assert looked("DANE", HOST).state == WRONG
        dns.add(f"_25._tcp.{HOST_NAME}", "TLSA", wanted)
        assert looked("DANE", HOST).state == RIGHT

    def test_the_resolver_says_whether_dane_of_others_is_honoured(self, dns: DNSServer, tmp_path: Path) -> None:
        found = looked("Resolver", HOST)
        assert (found.name, found.state) == (dns.address, OPTIONAL)
        assert "does not validate" in found.sentence
        with SignedDNS(tmp_path) as signed:
            name, state = tried_resolver(signed.address)
        assert (name, state) == (signed.address, State.VALIDATES)

    @pytest.mark.parametrize(
        ("found", "honours", "state"),
        [
            (State.VALIDATES, True, RIGHT),
            (State.VALIDATES, False, OPTIONAL),
            (State.SILENT, True, UNKNOWN),
            (State.PLAIN, True, OPTIONAL),
            (State.FOREIGN, True, OPTIONAL),
            (State.PERMISSIVE, True, WRONG),
        ],
    )
    def test_what_becomes_of_each_kind_of_resolver(self, found: State, honours: bool, state: RecordState) -> None:
        assert verdicts.resolver(found, honours_dane=honours).state is state


def test_a_server_that_lags_behind_is_named(dns: DNSServer) -> None:
    dns.add(f"_dmarc.{DOMAIN}", "TXT", '"v=DMARC1; p=none"')
    with DNSServer("127.0.0.2", dns.port) as other:
        dns.add(DOMAIN, "NS", "ns2.example.org.")
        dns.add("ns2.example.org", "A", "127.0.0.2")
        other.add(DOMAIN, "NS", "ns2.example.org.")
        found = looked("DMARC")
        assert (found.state, found.sentence.split(":")[0]) == (MISSING, "At ns2.example.org")


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
def test_no_answer_is_no_verdict_and_ends_no_alert(code: str, dns: DNSServer) -> None:
    dns.add(f"_dmarc.{DOMAIN}", "TXT", '"v=DMARC1; p=none"')
    assert looked("DMARC").state == RIGHT
    dns.fail(f"_dmarc.{DOMAIN}", code)
    assert looked("DMARC").state == UNKNOWN
    assert DomainRecord.objects.get(purpose="DMARC").was_right == NOW


def test_a_host_whose_address_the_dns_does_not_tell_keeps_what_was_right_of_the_rest(dns: DNSServer) -> None:
    dns.add("7.113.0.203.in-addr.arpa", "PTR", f"{HOST_NAME}.")
    assert looked("PTR", HOST).state == RIGHT
    dns.fail(HOST_NAME, "SERVFAIL")
    assert looked("SPF", HOST).state == UNKNOWN
    assert DomainRecord.objects.get(purpose="PTR").was_right == NOW


@pytest.mark.parametrize("name", ["localhost", "[192.0.2.1]"])
def test_a_host_without_a_full_name_is_told_so_and_keeps_no_domain_from_its_turn(name: str, settings: Any) -> None:
    settings.MAILSPOOL_HOSTNAME = name
    looking.look_at_due()
    [found] = shown.records_of(HOST)
    assert found.state == WRONG and "set MAILSPOOL_HOSTNAME" in found.sentence
    looking.look_at_due()
    assert DomainRecord.objects.filter(domain=DOMAIN).exists()


def test_what_strangers_write_is_bounded(dns: DNSServer) -> None:
    for number in range(60):
        dns.add(f"_dmarc.{DOMAIN}", "TXT", in_pieces(f"{number}" + "x" * 400))
    assert len("\n".join(looked("DMARC").found)) <= 2000


def test_the_alert_is_about_what_has_broken_and_not_about_what_never_was(dns: DNSServer) -> None:
    rule, watch = AlertRule(name="DNS", kind="dns", threshold=1), watch_of("dns")
    looking.look_at(DOMAIN, NOW)
    assert watch.values(rule, NOW, ()) == {}
    dns.add(f"_dmarc.{DOMAIN}", "TXT", '"v=DMARC1; p=none"')
    looking.look_at(DOMAIN, NOW)
    dns.clear(f"_dmarc.{DOMAIN}")
    looking.look_at(DOMAIN, NOW + timedelta(days=1))
    assert watch.values(rule, NOW, ()) == {DOMAIN: 1.0}
    assert watch.sentence(DOMAIN, 1, rule) == "The DNS of example.org has broken: DMARC"
    assert watch.page(DOMAIN) == "/admin/dns/example.org/"


def test_the_alert_goes_on_while_the_dns_gives_no_answer(dns: DNSServer) -> None:
    rule, watch = AlertRule(name="DNS", kind="dns", threshold=1), watch_of("dns")
    for records in (['"v=DMARC1; p=none"'], []):
        dns.clear(f"_dmarc.{DOMAIN}")
        for record in records:
            dns.add(f"_dmarc.{DOMAIN}", "TXT", record)
        looking.look_at(DOMAIN, NOW)
    assert watch.values(rule, NOW, ()) == {DOMAIN: 1.0}
    dns.fail(f"_dmarc.{DOMAIN}", "SERVFAIL")
    looking.look_at(DOMAIN, NOW)
    assert watch.values(rule, NOW, [DOMAIN]) == {DOMAIN: 1.0}
    assert watch.values(rule, NOW, ()) == {}, "no answer begins none"
    dns._failures.clear()
    dns.add(f"_dmarc.{DOMAIN}", "TXT", '"v=DMARC1; p=none"')
    looking.look_at(DOMAIN, NOW)
    assert watch.values(rule, NOW, [DOMAIN]) == {}


def test_the_alert_is_about_keys_that_sign_no_more(dns: DNSServer) -> None:
    rule, watch = AlertRule(name="DNS", kind="dns", threshold=1), watch_of("dns")
    key = lifecycle.make(DOMAIN, "rsa", NOW)
    looking.look_at(DOMAIN, NOW)
    assert watch.values(rule, NOW, ()) == {}
    DkimKey.objects.update(state=KeyState.ACTIVE, active=NOW)
    dns.fail(key.name, "SERVFAIL")
    looking.look_at(DOMAIN, NOW)
    assert watch.values(rule, NOW, ()) == {}
    dns._failures.clear()
    looking.look_at(DOMAIN, NOW)
    assert watch.values(rule, NOW, ()) == {DOMAIN: 1.0}
    assert watch.sentence(DOMAIN, 1, rule) == "The DNS of example.org has broken: DKIM"
    DkimKey.objects.update(domain="elsewhere.test")
    assert watch.values(rule, NOW, ()) == {}
    DkimKey.objects.update(domain=HOST_NAME)
    assert watch.values(rule, NOW, ()) == {"host": 1.0}


def test_a_look_that_fails_keeps_no_other_domain_from_its_turn(dns: DNSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(host: object) -> Any:
        raise LookupError("nobody thought of this")

    monkeypatch.setattr(looking, "_failed", {})
    monkeypatch.setattr(looking.wishes, "of_host", lambda *arguments: fail(arguments))
    for _ in range(2):
        looking.look_at_due()
    assert set(DomainRecord.objects.values_list("domain", flat=True)) == {DOMAIN}


def test_each_is_looked_at_daily_and_what_is_wrong_hourly(dns: DNSServer) -> None:
    def swept(after: timedelta) -> set[str]:
        before = dict(DomainRecord.objects.values_list("domain", "checked"))
        with time_machine.travel(NOW + after, tick=False):
            looking.look_at_due()
        now = dict(DomainRecord.objects.values_list("domain", "checked"))
        return {domain for domain, at in now.items() if before.get(domain) != at}

    assert (swept(timedelta(0)), swept(timedelta(0)), swept(timedelta(0))) == ({HOST}, {DOMAIN}, set())
    assert swept(timedelta(minutes=59)) == set()
    assert swept(timedelta(minutes=61)) | swept(timedelta(minutes=61)) == {HOST, DOMAIN}
    DomainRecord.objects.update(state=RIGHT)
    assert swept(timedelta(hours=24)) == set()
    # A receiver has refused our address: it may be on a list by now.
    at = NOW + timedelta(hours=24)
    refused = Destination.objects.create(site="Google", reason="reputation", since=at, changed=at)
    assert swept(timedelta(hours=24)) == {HOST}
    DomainRecord.objects.update(state=RIGHT)
    assert swept(timedelta(hours=24, minutes=30)) == set()
    refused.delete()
    assert len(swept(timedelta(hours=26))) == 1


def test_forgotten_with_its_domain() -> None:
    looking.look_at(DOMAIN, NOW)
    looking.look_at(HOST, NOW)
    Domain.objects.all().delete()
    looking.tidy(NOW)
    assert set(DomainRecord.objects.values_list("domain", flat=True)) == {HOST}


def test_a_page_of_domains_takes_two_queries_for_their_records(dns: DNSServer) -> None:
    names = [DOMAIN, *(f"d{number}.test" for number in range(30))]
    for name in names[1:]:
        Domain.objects.create(name=name)
        lifecycle.make(name, "ed25519", NOW)
    looking.look_at(DOMAIN, NOW)
    with CaptureQueriesContext(connection) as asked:
        chips = shown.chips(names)
    assert len(asked) == 2
    assert [chip.purpose for chip in chips["d1.test"]] == ["DKIM"]
    assert [chip.purpose for chip in chips[DOMAIN]] == ["MX", "SPF", "DKIM", "DMARC", "MTA-STS", "TLS-RPT", "DNSSEC"]
