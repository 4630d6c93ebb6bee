"""Telling administrators that users request the release of quarantined mail: together, and not for each request.

The first request of a domain is told of within a minute, what follows it half an hour later in one mail, however many.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.addresses import domain_of
from accounts.models import Role, Status, User
from base.numbers import grouped
from base.times import exact
from quarantine.filters import LARGE
from quarantine.models.antispam import AntispamSettings
from quarantine.models.item import Item, ItemState
from quarantine.models.request import ReleaseNotice
from spool import languages
from spool.addressing import RefusedRecipient
from spool.alerts import own_mail
from spool.flow.intake import IntakeError
from spool.models import AlertRule

log = logging.getLogger(__name__)

PAUSE: Final = timedelta(minutes=30)
MOST_LISTED: Final = 50
MOST_TOLD: Final = 20
_DOMAINS_AT_A_TIME: Final = 100


def sweep() -> None:
    """Tell of what nobody was told of yet, but for domains whose administrators were told a moment ago."""
    now = timezone.now()
    untold = Item.objects.filter(asked_at__isnull=False, told_at=None, state=ItemState.HELD)
    done = list(ReleaseNotice.objects.filter(at__gt=now - PAUSE).values_list("domain", flat=True))
    for _turn in range(_DOMAINS_AT_A_TIME):
        waiting = untold.exclude(_of(done)) if done else untold
        asked_by = waiting.order_by("asked_at").values_list("asked_by", flat=True).first()
        if asked_by is None:
            return
        domain = domain_of(asked_by)
        done.append(domain)
        if _is_ours_to_tell(domain, now):
            _tell(domain, untold.filter(_of([domain])), now)


def _of(domains: Sequence[str]) -> Q:
    return reduce(or_, (Q(asked_by__endswith=f"@{domain}") for domain in domains))


def _is_ours_to_tell(domain: str, now: datetime) -> bool:
    """Whether no other process has just done so."""
    _notice, is_first = ReleaseNotice.objects.get_or_create(domain=domain, defaults={"at": now})
    return is_first or bool(ReleaseNotice.objects.filter(domain=domain, at__lte=now - PAUSE).update(at=now))


def _tell(domain: str, requests: QuerySet[Item], now: datetime) -> None:
    items = list(requests.order_by("asked_at").defer(*LARGE)[:MOST_LISTED])
    # One that is requested from now on is for the next mail.
    counted = requests.filter(asked_at__lte=now)
    count = counted.count()
    addresses, page = _whom(domain)
    for address in addresses:
        try:
            with translation.override(languages.of_address(address)):
                subject, text = _subject(count), _text(domain, items, count, page)
            own_mail.send(address, subject, text, now)
        except (RefusedRecipient, IntakeError) as error:
            log.warning("%s is not told of release requests: %s", address, getattr(error, "reply", "") or error)
    counted.update(told_at=now)


def _whom(domain: str) -> tuple[list[str], str]:
    """The domain's administrators; without one, whoever gets alerts of this server. And where they look at it."""
    own = User.objects.filter(role=Role.DOMAIN_ADMINISTRATOR, domain__name=domain, status=Status.ENABLED)
    if addresses := list(own.order_by("email").values_list("email", flat=True)[:MOST_TOLD]):
        return addresses, reverse("portal:domain_quarantine")
    alerted = {address for rule in AlertRule.objects.filter(enabled=True) for address in rule.addresses}
    return sorted(alerted)[:MOST_TOLD] or [own_mail.postmaster()], reverse("admin:quarantine_item_spam")


def _subject(count: int) -> str:
    return ngettext(
        "%(number)s release request for quarantined mail", "%(number)s release requests for quarantined mail", count
    ) % {"number": grouped(count)}


def _text(domain: str, items: Sequence[Item], count: int, page: str) -> str:
    lines = [_("Users of %(domain)s request the release of quarantined messages.") % {"domain": domain}, ""]
    for item in items:
        assert item.asked_at is not None
        lines += [
            f"{item.asked_by}, {exact(item.asked_at)}",
            f"  {item.subject or _('(no subject)')}",
            "  "
            + _("from %(sender)s, quarantined %(when)s: %(reason)s")
            % {"sender": item.sender or "<>", "when": exact(item.at), "reason": item.reason},
            "",
        ]
    if count > len(items):
        lines += [_("And %(number)s more.") % {"number": grouped(count - len(items))}, ""]
    console = AntispamSettings.current().console_url.rstrip("/")
    said = _("Release or delete them: %(link)s") if console else _("Release or delete them at %(link)s.")
    lines.append(said % {"link": f"{console}{page}"})
    return "\n".join(lines)
