"""What the page of a domain's reports shows, in the console and on the user site."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from base.texts import Text
from mailspool.mail_reports import stored
from spool.delivery import incoming_reports
from spool.models.dns import DomainRecord

DAYS: Final = (7, 30, 90)
# What was wrong, in words (RFC 8460 4.3).
RESULTS: Final[dict[str, Text]] = {
    "starttls-not-supported": _("No TLS was offered"),
    "certificate-host-mismatch": _("The certificate is for another name"),
    "certificate-expired": _("The certificate has expired"),
    "certificate-not-trusted": _("The certificate is not trusted"),
    "validation-failure": _("TLS failed"),
    "tlsa-invalid": _("The TLSA record (DANE) is not valid"),
    "dnssec-invalid": _("DNSSEC is broken"),
    "dane-required": _("The sender requires DANE"),
    "sts-policy-fetch-error": _("The MTA-STS policy could not be fetched"),
    "sts-policy-invalid": _("The MTA-STS policy is not valid"),
    "sts-webpki-invalid": _("The certificate of the MTA-STS policy is not valid"),
}


def of_domain(request: HttpRequest, domain: str, now: datetime) -> dict[str, Any]:
    """What the template `mailspool/mail_reports/_domain.html` wants: six queries. `?days=` and `?show=bad` choose."""
    days = next((one for one in DAYS if str(one) == request.GET.get("days")), DAYS[0])
    only_bad = request.GET.get("show") == "bad"
    first = stored.since(days, now)
    return {
        "sums": stored.sums([domain], first).get(domain, stored.NOTHING),
        "failures": [(RESULTS.get(one.result, one.result), one) for one in stored.failures(domain, first)],
        "senders": stored.senders(domain, first, only_bad=only_bad),
        "reports": stored.received(domain, first),
        "asked": asked_by(domain),
        "most": stored.MOST_SHOWN,
        "only_bad": only_bad,
        "day": days,
        "days": [(one, f"?days={one}{'&show=bad' if only_bad else ''}") for one in DAYS],
        "switch": f"?days={days}{'' if only_bad else '&show=bad'}",
    }


def asked_by(domain: str) -> dict[str, list[str]]:
    """Whom the domain's records ask others to report to, as the last look at the DNS found them."""
    rows = DomainRecord.objects.filter(domain=domain, purpose__in=("DMARC", "TLS-RPT")).order_by("place")
    return {
        row.purpose: [name for line in row.found.splitlines() for name in incoming_reports.named_in(line)]
        for row in rows
    }
