"""Times on pages: how long ago, exactly on hover, in the zone of whoever looks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from base.audit.models import AuditEvent
from base.time_elements import relative
from mailspool.person_zone import COOKIE, zone_of
from security.models import BlacklistEntry
from spool.models import Entry
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home", "redis")]
NOON = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def at_noon(administrator: Client) -> Client:
    take_in(a_submission())
    Entry.objects.update(created=NOON)
    AuditEvent.objects.create(actor="root@example.org", action="delete", on="x", at=NOON)
    AuditEvent.objects.update(at=NOON)
    BlacklistEntry.objects.create(network="192.0.2.0/24", created_by="root@example.org")
    BlacklistEntry.objects.update(created=NOON)
    return administrator


@pytest.mark.parametrize("path", ["/admin/spool/entry/", "/admin/audit/auditevent/", "/admin/security/blacklistentry/"])
def test_a_page_has_the_exact_time_in_the_browsers_zone(at_noon: Client, path: str) -> None:
    assert 'title="2026-07-01 12:00:00 UTC"' in at_noon.get(path).text
    at_noon.cookies[COOKIE] = "Europe%2FBerlin"
    page = at_noon.get(path).text
    assert 'title="2026-07-01 14:00:00 CEST"' in page
    assert re.search(r"<time[^>]*>\d+ d( \d+ h)? ago</time>", page) or "2026-07-01 14:00:00 CEST" in page


def test_no_zone_of_one_page_is_that_of_the_next(at_noon: Client, client: Client) -> None:
    at_noon.cookies[COOKIE] = "Asia/Tokyo"
    assert "21:00:00 JST" in at_noon.get("/admin/spool/entry/").text
    del at_noon.cookies[COOKIE]
    assert "12:00:00 UTC" in at_noon.get("/admin/spool/entry/").text
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "Europe/Nowhere", "x" * 4000, "/etc/localtime", "a\0b"])
def test_what_is_no_zone_is_passed_over(at_noon: Client, name: str) -> None:
    assert zone_of(name) is None


def test_admin_forms_and_lists_write_dates_as_all_do(at_noon: Client) -> None:
    page = at_noon.get("/admin/security/blacklistentry/").text
    assert "a.m." not in page
    assert "p.m." not in page


@pytest.mark.parametrize(("away", "text"), [(-125, "2 min ago"), (7300, "in 2 h 2 min"), (-3 * 86400 - 10, "3 d ago")])
def test_relative_times(away: int, text: str) -> None:
    found = relative(timezone.now() + timedelta(seconds=away))
    assert f">{text}</time>" in found or f">{text.replace('2 min', '1 min')}</time>" in found
    assert relative(None) == "–"
