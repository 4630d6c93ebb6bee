"""An alert for a receiver that does not take mail from our address."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from spool.alerts.destinations import RefusedAddress
from spool.delivery.shaping import destinations, limits
from spool.delivery.shaping.classes import ReplyClass
from spool.delivery.shaping.limits import About, Key, Report
from spool.models import AlertRule, Destination, Settings
from spool.models.settings import forget

pytestmark = pytest.mark.django_db


def _values() -> dict[str, float]:
    return dict(RefusedAddress().values(AlertRule(kind="suspended", threshold=1), timezone.now(), []))


def test_a_site_that_refuses_our_address_is_told_of_until_it_is_resumed() -> None:
    key = Key("Google", "192.0.2.1")
    limits.apply([Report(key, About.REFUSED, timezone.now(), ReplyClass.REPUTATION, took=40, code=554, text="blocked")])
    assert _values() == {"Google from 192.0.2.1": 1.0}
    [site] = destinations.sites()
    assert (site.reason, site.evidence[0]["text"], site.by) == ("reputation", "blocked", "")
    # In a dry run mail goes there.
    Settings.objects.update_or_create(pk=1, defaults={"adapt_pace": False})
    forget()
    assert _values() == {}
    Settings.objects.update(adapt_pace=True)
    forget()
    assert destinations.resume(key, "ann") is not None
    assert _values() == {}
    # It goes slowly at first.
    [site] = destinations.sites()
    assert (site.suspended_until, site.rate) == (None, 10)
    # And whoever resumed it is told again.
    limits.apply([Report(key, About.REFUSED, timezone.now(), ReplyClass.REPUTATION, took=4, code=554, text="again")])
    assert list(_values()) == ["Google from 192.0.2.1"]


def test_what_somebody_suspended_is_no_alert() -> None:
    destinations.suspend(Key("Google"), timedelta(hours=1), "ann", "while we wait")
    assert _values() == {}
    [site] = destinations.sites()
    assert site.is_by_hand and site.note == "while we wait"


def test_what_is_over_is_forgotten_and_what_was_set_by_hand_stays() -> None:
    now = timezone.now()
    old = (now - timedelta(hours=25)).isoformat()
    Destination.objects.create(site="a.test", rate=5, memory={"refused": old}, since=now, changed=now)
    Destination.objects.create(site="b.test", suspended_until=now, memory={"by_hand": True}, since=now, changed=now)
    destinations.slow(Key("c.test"), 30, None, "ann")
    limits.forget_lapsed(timezone.now())
    assert [row.site for row in Destination.objects.all()] == ["c.test"]
    [site] = destinations.sites()
    assert (site.key, site.rate, site.by) == ("c.test", 30, "ann")
