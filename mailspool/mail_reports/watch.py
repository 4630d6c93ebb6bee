"""The alert about others who could not send to our domains by TLS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Sum
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.numbers import decimal
from spool.alerts.watches import Watch
from spool.models import AlertRule
from spool.models.mail_report import ReportedTLSFailure

# Reports come a day later: a failure is news for as long as the next one has had time to come.
LATELY: Final = timedelta(days=2)


class FailedTLS(Watch):
    """How many sessions for a domain have failed, as signed reports say. Others could be anybody's."""

    kind, label, unit = "tls-reported", _lazy("Others report that TLS to a domain fails"), _lazy("sessions")
    fix = _lazy("Show reports")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        failed = ReportedTLSFailure.objects.filter(day__gte=(now - LATELY).date(), is_proven=True).order_by()
        return {domain: float(n) for domain, n in failed.values_list("domain").annotate(Sum("count"))}

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("Others report %(value)s sessions for %(key)s in which TLS failed: such mail may not arrive") % {
            "value": decimal(value, 0),
            "key": key,
        }

    def page(self, key: str) -> str:
        return reverse("mail_reports_domain", args=[key])
