"""Reading reports: those that senders of the day write, and those that somebody made to harm."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from io import BytesIO

import pytest

from mailspool.mail_reports import dmarc, tls_rpt
from mailspool.mail_reports.dmarc import DMARCRead, Source
from mailspool.mail_reports.packed import LARGEST_BYTES, Unreadable, unpacked
from mailspool.mail_reports.reading import report_in
from mailspool.mail_reports.tls_rpt import Failure, TLSRead
from tests.mail_reports.samples import HERE, dmarc_record, dmarc_xml, mail_with, tls_document, tls_packed, zipped


@pytest.mark.parametrize(
    ("content", "subtype", "text"),
    [
        (tls_packed(), "tlsrpt+gzip", "Report"),
        (tls_packed(), "tlsrpt+gzip", ""),
        (json.dumps(tls_document()).encode(), "tlsrpt+json", "Report"),
        (b"\xef\xbb\xbf \r\n" + json.dumps(tls_document()).encode(), "octet-stream", "Report"),
    ],
)
def test_a_tls_report_is_read_however_it_is_packed(content: bytes, subtype: str, text: str) -> None:
    report = report_in(mail_with(content, subtype, text=text))
    assert isinstance(report, TLSRead)
    assert (report.reporter, report.report_id) == ("Company-X", "5065427c-23d3-47ca-b6e0-946ea0e8c4be")
    [one] = report.domains
    assert (one.domain, one.good, one.bad) == (HERE, 5326, 3)
    assert one.failures == (
        Failure("sts", "certificate-expired", f"mx1.{HERE}", "2001:db8:abcd:12::1", "X509_V_ERR_CERT_HAS_EXPIRED", 3),
    )


@pytest.mark.parametrize("namespace", ["", "http://dmarc.org/dmarc-xml/0.1", "urn:ietf:params:xml:ns:dmarc-2.0"])
@pytest.mark.parametrize("pack", [zipped, gzip.compress, bytes])
@pytest.mark.parametrize("text", ["", "Report"])
def test_a_dmarc_report_is_read_however_it_is_packed(pack: object, namespace: str, text: str) -> None:
    records = [
        dmarc_record("192.0.2.1", 2),
        dmarc_record("192.0.2.1", 3),
        dmarc_record("2001:DB8::9", 4, "fail", "fail", "reject"),
        dmarc_record("not an address", 1),
    ]
    report = report_in(mail_with(pack(dmarc_xml(*records, namespace=namespace)), text=text))  # type: ignore[operator]
    assert isinstance(report, DMARCRead)
    assert (report.reporter, report.report_id, report.domain) == ("google.com", "17081234", HERE)
    assert (report.good, report.bad) == (5, 4)
    assert set(report.sources) == {
        Source("192.0.2.1", True, True, "none"),
        Source("2001:db8::9", False, False, "reject"),
    }
    told = report.sources[Source("192.0.2.1", True, True, "none")]
    assert (told.count, told.header_from, told.dkim_domain, told.spf_domain) == (5, HERE, HERE, f"bounces.{HERE}")


def _bomb_in_gzip() -> bytes:
    return gzip.compress(b"<feedback>" + b" " * 64 * 1024 * 1024)


def _bomb_in_zip() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", b" " * 64 * 1024 * 1024)
    # Its header says that it is small.
    packed = bytearray(file.getvalue())
    at = packed.rindex(b"PK\x01\x02")
    packed[at + 24 : at + 28] = (100).to_bytes(4, "little")
    return bytes(packed)


@pytest.mark.parametrize("bomb", [_bomb_in_gzip, _bomb_in_zip])
def test_what_unpacks_to_too_much_is_not_unpacked(bomb: object) -> None:
    content = bomb()  # type: ignore[operator]
    tracemalloc.start()
    with pytest.raises(Unreadable):
        unpacked(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * LARGEST_BYTES


LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "lol">'
    + "".join(
        f'<!ENTITY {x} "{"&" + chr(ord(x) - 1) + ";" * 1}{("&" + chr(ord(x) - 1) + ";") * 9}">' for x in "bcdefgh"
    )
    + "]><feedback>&h;</feedback>"
)


@pytest.mark.parametrize(
    "content",
    [
        LAUGHS.encode(),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><feedback/>',
        b"<a>" * 100,
        b"<feedback>" + b"<a/>" * 500_000 + b"</feedback>",
        dmarc_xml(*[dmarc_record("192.0.2.1", 1)] * (dmarc.MOST_RECORDS + 1)),
        b"<feedback></feedback>",
        b"<html/>",
        b"<feedback><report",
        b'<?xml version="1.0" encoding="no-such"?><feedback/>',
        dmarc_xml().replace(b"<begin>", b"<begin>x"),
        b"",
    ],
    ids=["laughs", "entity", "deep", "many", "records", "empty", "html", "cut", "encoding", "when", "nothing"],
)
def test_xml_that_is_no_report_is_not_read(content: bytes) -> None:
    with pytest.raises(Unreadable):
        dmarc.read(content)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{}",
        b"[]",
        b"null",
        b"1" * 5000,
        b'{"policies": [{}]}',
        json.dumps({**tls_document(), "date-range": {"start-datetime": "soon", "end-datetime": 3}}).encode(),
        b" " * (tls_rpt.LARGEST_BYTES + 1),
        b"\xff\xfe{",
    ],
)
def test_json_that_is_no_report_is_not_read(content: bytes) -> None:
    with pytest.raises(Unreadable):
        tls_rpt.read(content)


def test_what_a_reporter_writes_of_any_type_is_bounded() -> None:
    document = tls_document()
    document["organization-name"] = "\ud800 a\0b\u202e\n" + "x" * 999
    details = document["policies"][0]["failure-details"]
    document["policies"] += tls_document()["policies"] * 200
    details[0] |= {"failed-session-count": -5, "receiving-mx-hostname": ["x"], "failure-reason-code": None}
    details *= 300
    report = tls_rpt.read(json.dumps(document).encode())
    assert report.reporter.startswith("a b x") and len(report.reporter) <= 200
    [one] = report.domains
    assert len(one.failures) == tls_rpt.MOST_FAILURES
    assert {(failure.count, failure.host, failure.reason) for failure in one.failures} == {(0, "", "")}
    assert one.good == 5326 * tls_rpt.MOST_POLICIES
