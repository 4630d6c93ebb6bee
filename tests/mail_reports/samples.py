"""Reports as others write them, and the mail that they come in."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

HERE = "here.test"
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def tls_document(domain: str = HERE, bad: int = 3, **more: Any) -> dict[str, Any]:
    """As RFC 8460's appendix B has it."""
    return {
        "organization-name": "Company-X",
        "date-range": {"start-datetime": "2026-03-01T00:00:00Z", "end-datetime": "2026-03-01T23:59:59Z"},
        "contact-info": "sts-reporting@company-x.example",
        "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: testing", f"mx: *.{domain}", "max_age: 86400"],
                    "policy-domain": domain,
                    "mx-host": [f"*.{domain}"],
                },
                "summary": {"total-successful-session-count": 5326, "total-failure-session-count": bad},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "2001:db8:abcd:12::1",
                        "receiving-mx-hostname": f"mx1.{domain}",
                        "failed-session-count": bad,
                        "failure-reason-code": "X509_V_ERR_CERT_HAS_EXPIRED",
                    }
                ],
            }
        ],
        **more,
    }


def tls_packed(domain: str = HERE, bad: int = 3, **more: Any) -> bytes:
    return gzip.compress(json.dumps(tls_document(domain, bad, **more)).encode())


def dmarc_record(ip: str, count: int, dkim: str = "pass", spf: str = "pass", disposition: str = "none") -> str:
    return (
        f"<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated>"
        f"<disposition>{disposition}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row>"
        f"<identifiers><header_from>{HERE}</header_from></identifiers><auth_results>"
        "<dkim><domain>lists.test</domain><result>fail</result><selector>a</selector></dkim>"
        f"<dkim><domain>{HERE}</domain><result>{dkim}</result></dkim>"
        f"<spf><domain>bounces.{HERE}</domain><result>{spf}</result></spf></auth_results></record>"
    )


def dmarc_xml(
    *records: str, domain: str = HERE, report_id: str = "17081234", begins: datetime = DAY, namespace: str = ""
) -> bytes:
    begin, end = int(begins.timestamp()), int((begins + timedelta(days=1)).timestamp()) - 1
    named = f' xmlns="{namespace}"' if namespace else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8" ?><feedback{named}><version>1.0</version><report_metadata>'
        "<org_name>google.com</org_name><email>noreply-dmarc-support@google.com</email>"
        f"<report_id>{report_id}</report_id><date_range><begin>{begin}</begin><end>{end}</end></date_range>"
        f"</report_metadata><policy_published><domain>{domain}</domain><adkim>r</adkim><p>reject</p></policy_published>"
        f"{''.join(records)}</feedback>"
    ).encode()


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("google.com!here.test!1.xml", content)
    return file.getvalue()


def mail_with(content: bytes, subtype: str = "zip", to: str = f"postmaster@{HERE}", text: str = "Report") -> bytes:
    """Mail from a receiver, with a report in it."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = "noreply@google.com", to
    message["Subject"] = f"Report domain: {HERE} Submitter: google.com Report-ID: 17081234"
    if text:
        message.set_content(text)
        message.add_attachment(content, "application", subtype, filename="report.bin")
    else:
        message.set_content(content, "application", subtype, filename="report.bin")
    return message.as_bytes()
