"""What alert rules can watch of the receivers that mail goes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from spool.alerts.watches import Watch, span_of
from spool.delivery.shaping import destinations
from spool.models import AlertRule


class RefusedAddress(Watch):
    """Sites that get nothing for a while, for they do not take mail from our address. Not those suspended by hand."""

    kind, label, unit = "suspended", _lazy("A destination refuses our address"), _lazy("minutes")
    fix = _lazy("Show destination")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        refusing = [site for site in destinations.sites() if site.is_suspended and not site.is_suspended_by_hand]
        return {site.key: max(1.0, (now - site.changed).total_seconds() / 60) for site in refusing}

    def says(self, key: str) -> str:
        return _("mail for %(key)s") % {"key": key}

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return _("%(key)s has refused mail from our address for %(value)s: nothing is sent there for a while") % {
            "key": key,
            "value": span_of(value),
        }

    def page(self, key: str) -> str:
        return f"/admin/destinations/one/?{urlencode({'key': key})}"
