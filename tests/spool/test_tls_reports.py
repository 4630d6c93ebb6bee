"""TLS reports (RFC 8460) from the first session to their arrival: real passes, mail host, web server and DNS."""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import Iterator
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from spool.delivery.remote import tls_policy
from spool.models import DkimKey, KeyState, ReportState, TLSReport, TLSSessions
from spool.signing import lifecycle, ring
from spool.tls_reports import sending
from spool.tls_reports.addresses import mailbox_of, wanted_by
from tests.interop.world import parsed
from tests.spool.passing import FAR, HERE, START, Spool
from tests.spool.signing.test_sending import is_good
from tests.support.certificates import Authority
from tests.support.https import HttpsServer

YESTERDAY = START.date()
MAILBOX = f"mailto:tls%2Dreports@{FAR}"


@pytest.fixture
def key(spool: Spool) -> Iterator[DkimKey]:
    """What signs for the postmaster, so that reports are made."""
    ring.forget()
    sending.forget_planned()
    spool.settings(postmaster=f"postmaster@{HERE}")
    key = lifecycle.make(HERE, "rsa", timezone.now())
    key.state, key.active = KeyState.ACTIVE, timezone.now()
    key.save()
    ring.forget()
    yield key
    ring.forget()


@pytest.fixture(scope="module")
def localhost(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """An authority, and a server that it vouches for. Made before a test sets the clock, which OpenSSL does not see."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return authority.certificate, authority.server("localhost")


@pytest.fixture
def web(localhost: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    """Whom reports are posted to, which the tests may reach although it is on loopback."""
    certificate, context = localhost
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(sending, "_NETWORKS", ("127.0.0.0/8", "::1/128"))
    tls_policy.context_for.cache_clear()
    with HttpsServer(context) as server:
        yield server
    tls_policy.context_for.cache_clear()


def _ask_for_reports(spool: Spool, *uris: str) -> None:
    spool.dns._records.pop(f"_smtp._tls.{FAR}", None)
    spool.dns.add(f"_smtp._tls.{FAR}", "TXT", f'"v=TLSRPTv1; rua={",".join(uris)}"')


def _sweep() -> None:
    sending.sweep()
    sending.sender.wait(30)


def _end_of_day(spool: Spool) -> None:
    """Reports of the day are planned, and all are due."""
    spool.later(hours=13)
    _sweep()
    spool.later(hours=8)
    _sweep()


def _report_in(message: EmailMessage) -> dict[str, Any]:
    text, packed = message.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert packed.get_content_type() == "application/tlsrpt+gzip"
    document: dict[str, Any] = json.loads(gzip.decompress(packed.get_content()))
    return document


def test_a_domain_that_asks_hears_by_mail_and_web_how_its_sessions_went(
    spool: Spool, key: DkimKey, web: HttpsServer
) -> None:
    _ask_for_reports(spool, MAILBOX, f"https://localhost:{web.port}/tls", "ftp://elsewhere/", "mailto:nobody")
    spool.take()
    spool.work()
    _end_of_day(spool)
    spool.peer.taken.clear()
    spool.work()

    [taken] = spool.peer.taken
    assert taken.mail.startswith("MAIL FROM:<>")
    assert taken.recipients == (f"tls-reports@{FAR}",)
    assert is_good(taken.content, key)
    message = parsed(taken.content)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "tlsrpt"
    assert (message["TLS-Report-Domain"], message["TLS-Report-Submitter"]) == (FAR, "mail.test")
    assert message["TLS-Required"] == "No"
    assert message["Subject"].startswith(f"Report Domain: {FAR} Submitter: mail.test Report-ID: <")
    packed = list(message.iter_parts())[1]
    assert packed.get_filename() == f"mail.test!{FAR}!1772409600!1772495999.json.gz"
    report = _report_in(message)
    assert report == {
        "organization-name": "mail.test",
        "date-range": {"start-datetime": "2026-03-02T00:00:00Z", "end-datetime": "2026-03-02T23:59:59Z"},
        "contact-info": f"postmaster@{HERE}",
        "report-id": f"2026-03-02T00:00:00Z_{FAR}",
        "policies": [
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": FAR},
                "summary": {"total-successful-session-count": 0, "total-failure-session-count": 1},
                "failure-details": [
                    {
                        "result-type": "starttls-not-supported",
                        "failed-session-count": 1,
                        "sending-mta-ip": "127.0.0.1",
                        "receiving-mx-hostname": f"mx.{FAR}",
                        "receiving-ip": "127.0.0.1",
                    }
                ],
            }
        ],
    }
    [(path, content_type, body)] = web.posted
    assert (path, content_type, json.loads(gzip.decompress(body))) == ("/tls", "application/tlsrpt+gzip", report)
    [row] = TLSReport.objects.all()
    assert (row.state, row.due) == (ReportState.SENT, None)
    # The report's own session is none that is reported.
    assert list(TLSSessions.objects.values_list("day", flat=True)) == [YESTERDAY]


def test_who_can_not_be_reached_is_tried_for_a_day_and_others_do_not_hear_it_twice(
    spool: Spool, key: DkimKey, web: HttpsServer
) -> None:
    _ask_for_reports(spool, f"https://localhost:{web.port}/a", f"https://localhost:{web.port + 1}/b")
    web.takes = 500
    _counted(YESTERDAY)
    _end_of_day(spool)
    [row] = TLSReport.objects.all()
    assert (row.state, row.done) == (ReportState.WAITING, [])
    assert "localhost" in row.outcome and row.due is not None and row.due > timezone.now()
    web.takes = 200
    for _ in range(20):
        spool.later(hours=1)
        _sweep()
    assert [path for path, _, _ in web.posted] == ["/a", "/a"], "once refused, once taken"
    row.refresh_from_db()
    assert (row.state, row.due) == (ReportState.SENT, None)


@pytest.mark.parametrize(
    "uri", ["https://127.0.0.1:{port}/", "https://localhost:{port}/", "https://[::1]:{port}/", "https://10.0.0.1/"]
)
def test_a_report_is_posted_to_nobody_inside(
    spool: Spool, key: DkimKey, web: HttpsServer, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setattr(sending, "_NETWORKS", ())
    _ask_for_reports(spool, uri.format(port=web.port))
    _counted(YESTERDAY)
    _end_of_day(spool)
    assert web.posted == []
    assert "not an address of the Internet" in TLSReport.objects.get().outcome


def test_who_does_not_ask_gets_nothing_and_is_not_asked_again(spool: Spool, key: DkimKey) -> None:
    _counted(YESTERDAY)
    _end_of_day(spool)
    assert TLSReport.objects.get().state == ReportState.NOT_WANTED
    spool.work()
    assert spool.peer.taken == []


def test_a_dns_that_says_nothing_is_asked_again(
    spool: Spool, key: DkimKey, web: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask_for_reports(spool, f"https://localhost:{web.port}/")
    _counted(YESTERDAY)
    monkeypatch.setattr(sending, "DNS_SECONDS", 0.2)
    monkeypatch.setattr(django_settings, "MAILSPOOL_DNS", "127.0.0.1:1")
    _end_of_day(spool)
    row = TLSReport.objects.get()
    assert (row.state, row.attempts) == (ReportState.WAITING, 1)
    monkeypatch.setattr(sending, "DNS_SECONDS", 5.0)
    monkeypatch.setattr(django_settings, "MAILSPOOL_DNS", spool.dns.address)
    spool.later(hours=1)
    _sweep()
    assert len(web.posted) == 1


def test_nothing_is_counted_or_sent_without_a_key_or_when_it_is_switched_off(spool: Spool, key: DkimKey) -> None:
    spool.settings(send_tls_reports=False)
    spool.take()
    spool.work()
    DkimKey.objects.update(state=KeyState.RETIRING)
    ring.forget()
    spool.settings(send_tls_reports=True)
    spool.take()
    spool.work()
    _end_of_day(spool)
    assert len(spool.peer.taken) == 2
    assert not TLSSessions.objects.exists() and not TLSReport.objects.exists()


def test_what_was_counted_is_kept_for_two_days(spool: Spool, key: DkimKey) -> None:
    for days in (0, 1, 2, 3):
        _counted(YESTERDAY - timedelta(days=days))
    sending.tidy(timezone.now())
    assert TLSSessions.objects.count() == 3


def test_many_domains_are_planned_and_asked_together(
    spool: Spool, key: DkimKey, django_assert_max_num_queries: Any
) -> None:
    TLSSessions.objects.bulk_create(_row(YESTERDAY, f"d{number}.test") for number in range(300))
    spool.later(hours=13)
    with django_assert_max_num_queries(8):
        sending.plan(timezone.now())
    assert TLSReport.objects.values("due").distinct().count() == 300, "each at a moment of its own"
    sending.plan(timezone.now())
    assert TLSReport.objects.count() == 300


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["v=TLSRPTv1; rua=mailto:a@x.test"], ("mailto:a@x.test",)),
        (["v=TLSRPTv1;rua=mailto:a@x.test , https://x.test/r?a=b"], ("mailto:a@x.test", "https://x.test/r?a=b")),
        (["spf", "v=TLSRPTv1; rua=https://x.test"], ("https://x.test",)),
        (["v=TLSRPTv1; rua=mailto:a@x.test", "v=TLSRPTv1; rua=mailto:b@x.test"], ()),
        (["v=TLSRPTv2; rua=mailto:a@x.test"], ()),
        (["v=TLSRPTv1"], ()),
        (
            [f"v=TLSRPTv1; rua={','.join(f'mailto:u{n}@x.test' for n in range(9))}"],
            tuple(f"mailto:u{n}@x.test" for n in range(3)),
        ),
        (["v=TLSRPTv1; rua=http://x.test/,https://u:p@x.test/,https://x.test:0/,https:///,https://[::1"], ()),
        (["v=TLSRPTv1; rua=mailto:a%0d%0abcc:b@x.test,https://x.test/a\r\nb"], ()),
    ],
)
def test_whom_a_record_names(texts: list[str], wanted: tuple[str, ...]) -> None:
    assert wanted_by(texts) == wanted


def test_a_mailbox_is_unquoted_and_without_what_follows_it() -> None:
    assert mailbox_of("MAILTO:a%2Bb@x.test?subject=Hello") == "a+b@x.test"


def _row(day: date, domain: str = FAR) -> TLSSessions:
    return TLSSessions(day=day, domain=domain, policy_type="no-policy-found", policy_key="0", result="", count=1)


def _counted(day: date) -> None:
    _row(day).save()
