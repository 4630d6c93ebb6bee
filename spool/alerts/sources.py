"""What alert rules can watch of the addresses that mail leaves from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from spool.alerts.watches import Watch, span_of
from spool.delivery import sources
from spool.models import AlertRule


class MissingSource(Watch):
    """Source addresses that are not on a machine that sends."""

    kind, label, unit, fix = (
        "source-missing",
        _lazy("A source address is not on this machine"),
        _lazy("minutes"),
        _lazy("Source addresses"),
    )

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {
            row.address: max(1.0, (now - row.missing_since).total_seconds() / 60)
            for row in sources.missing_now()
            if row.missing_since is not None
        }

    def says(self, key: str) -> str:
        return key

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("The source address %(key)s has not been on this machine for %(value)s: mail leaves from others") % {
            "key": key,
            "value": span_of(value),
        }

    def page(self, key: str) -> str:
        return reverse("admin:spool_sourceaddress_changelist")
