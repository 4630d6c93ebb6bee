"""Reports on their way: mail that comes in for the address which a domain's record names, until a page shows it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.test import Client
from django.utils import timezone

from accounts.models import Domain, Role, User
from mailspool.mail_reports import dmarc, reading, stored
from mailspool.mail_reports.watch import FailedTLS
from quarantine.engines import authentication, resolver
from spool.delivery import incoming_reports
from spool.models import (
    AlertRule,
    DMARCSource,
    DomainRecord,
    IncomingReport,
    MailReport,
    RecordState,
    ReportedTLSFailure,
)
from tests.mail_reports.samples import DAY, HERE, dmarc_record, dmarc_xml, mail_with, tls_packed, zipped
from tests.spool.passing import ANN, Spool, spool
from tests.support.commands import Manage, manage_with
from tests.support.dns import in_pieces

__all__ = ["spool"]

GOOGLE = "google.com"


@pytest.fixture(autouse=True)
def named(spool: Spool) -> Iterator[None]:
    """The domain's records name a mailbox, as the last look has found them."""
    for purpose, name, text in (
        ("DMARC", f"_dmarc.{HERE}", f"v=DMARC1; p=none; rua=mailto:ann@{HERE}!10m,mailto:elsewhere@far.test"),
        ("TLS-RPT", f"_smtp._tls.{HERE}", f"v=TLSRPTv1; rua=mailto:Ann%2Btls@{HERE}"),
    ):
        DomainRecord.objects.create(
            domain=HERE,
            purpose=purpose,
            name=name,
            kind="TXT",
            place=0,
            found=text,
            state=RecordState.RIGHT,
            checked=timezone.now(),
        )
    incoming_reports.forget()
    authentication.forget()
    resolver._blocking.clear()
    yield
    incoming_reports.forget()


_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _signature(spool: Spool, content: bytes) -> bytes:
    """By a key of the reporter's, which its DNS shows."""
    public = _KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    spool.dns.clear(f"s1._domainkey.{GOOGLE}")
    record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    spool.dns.add(f"s1._domainkey.{GOOGLE}", "TXT", in_pieces(record))
    pem = _KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    signed: bytes = dkim.sign(content, b"s1", GOOGLE.encode(), pem, include_headers=[b"from", b"subject"])
    return signed


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "mailspool")


def bring(spool: Spool, content: bytes, to: str = ANN, *, signed: bool = True) -> None:
    """It arrives, and is read."""
    spool.take_for_us(_signature(spool, content) + content if signed else content, to, sender=f"noreply@{GOOGLE}")
    spool.work()
    reading.sweep()
    reading.reader.wait(30)


def test_a_dmarc_report_is_delivered_and_shown(spool: Spool, manage: Manage) -> None:
    records = [dmarc_record("192.0.2.1", 7), dmarc_record("192.0.2.66", 5, "fail", "fail", "reject")]
    bring(spool, mail_with(zipped(dmarc_xml(*records))))
    assert len(spool.mailbox()) == 1, "who reads the mailbox has it too"
    assert not IncomingReport.objects.exists()
    [report] = MailReport.objects.all()
    assert (report.kind, report.domain, report.reporter, report.good, report.bad) == ("dmarc", HERE, GOOGLE, 7, 5)
    assert report.signed_by == GOOGLE
    first = stored.since(7, timezone.now())
    assert [(one.ip, one.count, one.good, one.rejected) for one in stored.senders(HERE, first)] == [
        ("192.0.2.1", 7, 7, 0),
        ("192.0.2.66", 5, 0, 5),
    ]
    assert [one.ip for one in stored.senders(HERE, first, only_bad=True)] == ["192.0.2.66"]
    listed = manage("reports", "list", "--json").json
    assert listed[0] == {
        "domain": HERE,
        "dmarc reports": 1,
        "passed": 7,
        "failed": 5,
        "tls reports": 0,
        "tls good": 0,
        "tls failed": 0,
    }
    assert manage("reports", "senders", HERE, "--failed", "--json").json[0]["address"] == "192.0.2.66"


def test_a_report_that_nothing_proves_is_listed_and_not_counted(spool: Spool, manage: Manage) -> None:
    forged = mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.66", 10**9, "fail", "fail", "reject"))))
    bring(spool, forged, signed=False)
    assert [row["bad"] for row in manage("reports", "received", "--json").json] == [10**9]
    assert not DMARCSource.objects.exists()
    first = stored.since(7, timezone.now())
    assert stored.sums([HERE], first) == {}
    bring(spool, mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 7), report_id="2"))))
    assert stored.sums([HERE], first)[HERE].dmarc == stored.Counted(1, 7, 0)


def test_a_report_that_nothing_proves_keeps_out_none_that_is_proved(spool: Spool) -> None:
    for count, signed in ((10**9, False), (7, True), (5, False), (3, True)):
        bring(spool, mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", count)))), signed=signed)
    [report] = MailReport.objects.all()
    assert (report.good, report.signed_by) == (7, GOOGLE)
    assert [row.count for row in DMARCSource.objects.all()] == [7]


def test_a_report_counts_by_spf_too(spool: Spool) -> None:
    spool.dns.add(GOOGLE, "TXT", '"v=spf1 ip4:192.0.2.7 -all"')
    content = mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 7))))
    for ip, by in (("192.0.2.8", ""), ("192.0.2.7", GOOGLE)):
        row = IncomingReport(sender=f"noreply@{GOOGLE}", client_ip=ip, content=content)
        assert reading.proof_of(content, row) == reading.Proof("", by)


def test_counts_of_several_reporters_add_up_and_none_counts_twice(spool: Spool) -> None:
    record = dmarc_record("192.0.2.1", 7)
    for report_id in ("1", "2", "1"):
        bring(spool, mail_with(zipped(dmarc_xml(record, report_id=report_id))))
    assert MailReport.objects.count() == 2
    [row] = DMARCSource.objects.all()
    assert (row.source_ip, row.count, str(row.day)) == ("192.0.2.1", 14, "2026-03-01")


def test_addresses_beyond_the_bound_count_together(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_SOURCES", 2)
    records = [dmarc_record(f"192.0.2.{number}", 1) for number in range(1, 6)]
    bring(spool, mail_with(zipped(dmarc_xml(*records))))
    bring(spool, mail_with(zipped(dmarc_xml(*records, report_id="2"))))
    rows = DMARCSource.objects.order_by("source_ip").values_list("source_ip", "count")
    assert list(rows) == [("", 6), ("192.0.2.1", 2), ("192.0.2.2", 2)]


ODD = [
    dmarc_xml(dmarc_record("fe80::1%" + "z" * 400, 7)),
    dmarc_xml(dmarc_record("192.0.2.9", 10**12), dmarc_record("192.0.2.9", 10**12)),
    dmarc_xml(dmarc_record("192.0.2.9", 10**12), report_id="again"),
]


def test_no_report_keeps_the_next_from_being_read(spool: Spool) -> None:
    for content in ODD:
        bring(spool, mail_with(zipped(content)))
    bring(spool, mail_with(tls_packed(**{"organization-name": "a\0b\ud800c", "report-id": "\u2028x"}), "tlsrpt+gzip"))
    # As if 10,000 of them had come.
    DMARCSource.objects.update(count=2**63 - 1)
    bring(spool, mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.9", 5), report_id="more"))))
    bring(spool, mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 7), report_id="last"))))
    assert not IncomingReport.objects.exists()
    assert DMARCSource.objects.get(source_ip="192.0.2.1").count == 7
    assert DMARCSource.objects.get(source_ip="192.0.2.9").count == dmarc.MOST_MESSAGES


def test_tls_that_failed_is_shown_and_an_alert_when_the_report_is_signed(spool: Spool, manage: Manage) -> None:
    watch, rule = FailedTLS(), AlertRule(threshold=1)
    bring(spool, mail_with(tls_packed(), "tlsrpt+gzip"), to=f"ann+tls@{HERE}", signed=False)
    [row] = ReportedTLSFailure.objects.all()
    assert (row.domain, row.result, row.host, row.count) == (HERE, "certificate-expired", f"mx1.{HERE}", 3)
    assert not row.is_proven and watch.values(rule, timezone.now(), ()) == {}
    bring(spool, mail_with(tls_packed(bad=4, **{"report-id": "2"}), "tlsrpt+gzip"))
    assert MailReport.objects.get(report_id="2").signed_by == GOOGLE
    assert watch.values(rule, timezone.now(), ()) == {HERE: 4.0}
    assert watch.page(HERE) == f"/admin/reports/{HERE}/"
    assert watch.values(rule, timezone.now() + timedelta(days=4), ()) == {}
    [failure] = stored.failures(HERE, stored.since(7, timezone.now()))
    assert (failure.count, failure.reporters, failure.is_proven) == (7, 1, True)
    told = manage("reports", "tls", HERE, "--json").json
    assert (told[0]["result"], told[0]["count"]) == ("certificate-expired", 7)
    assert len(manage("reports", "received", "--json").json) == 2


@pytest.mark.parametrize(
    "content",
    [
        mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 1), domain="other.test"))),
        mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 1), begins=DAY - timedelta(days=60)))),
        mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 1), begins=DAY + timedelta(days=9)))),
        mail_with(tls_packed("other.test"), "tlsrpt+gzip"),
        mail_with(gzip.compress(b"<!DOCTYPE a><feedback/>")),
        mail_with(b"no report at all"),
    ],
    ids=["not ours", "old", "ahead", "not ours either", "doctype", "nothing"],
)
def test_what_is_of_no_use_stays_mail_and_is_looked_at_once(spool: Spool, content: bytes) -> None:
    bring(spool, content)
    assert len(spool.mailbox()) == 1
    assert not MailReport.objects.exists() and not IncomingReport.objects.exists()


def test_other_mail_and_other_mailboxes_are_left_alone(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create(email=f"bob@{HERE}", domain=Domain.objects.get(name=HERE))
    spool.take_for_us(b"From: a@b.test\r\nSubject: Lunch\r\n\r\nHello\r\n")
    spool.take_for_us(mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 1)))), to=f"bob@{HERE}")
    spool.work()
    assert not IncomingReport.objects.exists()
    monkeypatch.setattr(incoming_reports, "MOST_WAITING", 1)
    for _ in range(3):
        spool.take_for_us(mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 1)))))
        spool.work()
    assert IncomingReport.objects.count() == 1 and len(spool.mailbox()) == 4


def test_what_is_old_is_forgotten(spool: Spool) -> None:
    bring(spool, mail_with(zipped(dmarc_xml(dmarc_record("192.0.2.1", 7)))))
    bring(spool, mail_with(tls_packed(), "tlsrpt+gzip"))
    spool.settings(report_days=30)
    reading.tidy(timezone.now())
    assert DMARCSource.objects.exists() and ReportedTLSFailure.objects.exists() and MailReport.objects.count() == 2
    reading.tidy(timezone.now() + timedelta(days=32))
    assert not (DMARCSource.objects.exists() or ReportedTLSFailure.objects.exists() or MailReport.objects.exists())


def test_the_pages_show_it_to_administrators_and_each_domain_to_its_own(
    spool: Spool, client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        Domain.objects.create(name=f"d{number:02}.test")
    records = [dmarc_record(f"192.0.2.{number}", number) for number in range(1, 100)]
    bring(spool, mail_with(zipped(dmarc_xml(*records, dmarc_record("192.0.2.200", 5, "fail", "fail", "reject")))))
    bring(spool, mail_with(tls_packed(), "tlsrpt+gzip"), signed=False)
    client.force_login(User.objects.create(email="root@localhost", role=Role.SYSTEM_ADMINISTRATOR))
    client.get("/admin/reports/")
    with django_assert_max_num_queries(12):
        listed = client.get("/admin/reports/").content.decode()
    assert "d48.test" in listed and "Next page" in listed and "d59.test" not in listed
    with django_assert_max_num_queries(16):
        page = client.get(f"/admin/reports/{HERE}/").content.decode()
    for words in ("192.0.2.99", "The certificate has expired", f"mx1.{HERE}", "Company-X", GOOGLE, "Not proven"):
        assert words in page, words
    only = client.get(f"/admin/reports/{HERE}/?show=bad&days=30").content.decode()
    assert "192.0.2.200" in only and "192.0.2.99" not in only
    assert client.get("/admin/reports/none.test/").status_code == 404
    other = Client()
    other.force_login(
        User.objects.create(
            email="chief@d01.test", domain=Domain.objects.get(name="d01.test"), role=Role.DOMAIN_ADMINISTRATOR
        )
    )
    theirs = other.get("/me/domain/reports/").content.decode()
    assert "Nobody is asked to report here" in theirs and "192.0.2.99" not in theirs
    chief = Client()
    chief.force_login(
        User.objects.create(email=f"chief@{HERE}", domain=Domain.objects.get(name=HERE), role=Role.DOMAIN_ADMINISTRATOR)
    )
    assert "192.0.2.99" in chief.get("/me/domain/reports/").content.decode()
