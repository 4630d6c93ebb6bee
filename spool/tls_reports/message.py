"""The mail that a report goes in (RFC 8460 5.3)."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from spool.tls_reports.document import Report

MEDIA_TYPE = "application/tlsrpt+gzip"


def message_of(report: Report, to: str, now: datetime) -> bytes:
    """Mail for one mailbox. It is signed while it is sent, as all of this server's."""
    host = report.reporter.host
    message = EmailMessage(policy=SMTP)
    message["From"] = report.reporter.contact
    message["To"] = to
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=host)
    message["Subject"] = f"Report Domain: {report.domain} Submitter: {host} Report-ID: <{report.id}>"
    message["TLS-Report-Domain"] = report.domain
    message["TLS-Report-Submitter"] = host
    # It is about TLS that may not work: it has to arrive all the same (RFC 8460 5.3, RFC 8689 3). Sessions that carry
    # it are not counted, so that reports make no reports.
    message["TLS-Required"] = "No"
    message["Auto-Submitted"] = "auto-generated"
    message["MIME-Version"] = "1.0"
    text = EmailMessage(policy=SMTP)
    text.set_content(
        f"This is a report on TLS between {host} and the mail hosts of {report.domain}\n"
        f"from {report.begins:%Y-%m-%d %H:%M} to {report.ends:%H:%M} UTC (SMTP TLS Reporting, RFC 8460).\n"
        f"It is sent because the DNS record _smtp._tls.{report.domain} asks for it.\n"
    )
    packed = EmailMessage(policy=SMTP)
    packed.set_content(report.packed(), "application", "tlsrpt+gzip", filename=report.file_name)
    message["Content-Type"] = 'multipart/report; report-type="tlsrpt"'
    message.attach(text)
    message.attach(packed)
    return message.as_bytes()
