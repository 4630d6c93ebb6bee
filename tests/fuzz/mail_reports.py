"""Readers of reports that others send about our domains, and of the records that say whom ours go to."""

from __future__ import annotations

from datetime import datetime

from mailspool.mail_reports import dmarc, reading, tls_rpt
from mailspool.mail_reports.dmarc import DMARCRead
from mailspool.mail_reports.packed import LARGEST_BYTES, Unreadable, unpacked
from mailspool.mail_reports.tls_rpt import TLSRead
from spool.delivery import incoming_reports
from spool.tls_reports import addresses
from tests.fuzz.target import Target


def _is_line(text: str, longest: int) -> None:
    """What any database and page takes, as one line."""
    assert len(text) <= longest
    assert "\0" not in text and "\n" not in text
    text.encode()


def _check(report: TLSRead | DMARCRead) -> None:
    _is_line(report.reporter, 200)
    _is_line(report.report_id, 255)
    assert isinstance(report.begins, datetime) and report.begins.tzinfo is not None
    if isinstance(report, TLSRead):
        for one in report.domains:
            _is_line(one.domain, 255)
            assert one.good >= 0 and one.bad >= 0 and len(one.failures) <= tls_rpt.MOST_FAILURES
            for failure in one.failures:
                _is_line(failure.reason, 200)
                assert failure.count >= 0
        return
    assert report.good >= 0 and report.bad >= 0 and len(report.sources) <= dmarc.MOST_RECORDS
    for source, told in report.sources.items():
        _is_line(source.ip, 45)
        assert source.disposition in ("none", "quarantine", "reject")
        for text in (told.header_from, told.dkim_domain, told.spf_domain):
            _is_line(text, 255)


def read_tls_report(data: bytes) -> None:
    try:
        _check(tls_rpt.read(data))
    except Unreadable as error:
        str(error).encode("utf-8", "backslashreplace")


def read_dmarc_report(data: bytes) -> None:
    try:
        _check(dmarc.read(data))
    except Unreadable as error:
        str(error).encode("utf-8", "backslashreplace")


def read_packed(data: bytes) -> None:
    try:
        assert len(unpacked(data)) <= LARGEST_BYTES
    except Unreadable:
        return


def read_carried(data: bytes) -> None:
    try:
        _check(reading.report_in(data))
    except Unreadable:
        return


def read_rua(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for uri in addresses.wanted_by([text]):
        assert "\n" not in uri and "\r" not in uri
        assert addresses.is_web(uri) or "@" in addresses.mailbox_of(uri)
    for address in incoming_reports.named_in(text):
        assert "@" in address


TARGETS = (
    Target("tls-report", read_tls_report, longest=1024 * 1024, seconds=5.0),
    Target("dmarc-report", read_dmarc_report, longest=2 * 1024 * 1024, seconds=10.0),
    Target("packed-report", read_packed, longest=2 * 1024 * 1024),
    Target(
        "carried-report", read_carried, ("mime", "tls-report", "dmarc-report"), longest=2 * 1024 * 1024, seconds=20.0
    ),
    Target("rua", read_rua, longest=64 * 1024),
)
