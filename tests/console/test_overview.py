"""The Overview as a browser without scripts sees it: tables, numbers, charts, and what its menus say."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Domain, Role, User
from mailspool.attention import items as attention
from mailspool.overview.charts import charts, nice_span, nice_top
from mailspool.overview.tables import TABLES
from spool.models import AlertEvent, AlertKind, AlertRule, Entry, TrafficState
from spool.models.recipient import Kind, Outcome
from spool.rows import statements, traffic_batches
from spool.traffic import rollup
from spool.traffic.series import RANGES, Point
from tests.support.demo_traffic import FLOODER, count_a_day
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
NOW = datetime(2026, 3, 2, 12, 30, 40, tzinfo=UTC)
PAGE = "/admin/"


def count(kind: Kind, sender: str, ip: str, recipient: str, number: int = 1, minutes: int = 0) -> None:
    moment = NOW - timedelta(minutes=minutes)
    ending: traffic_batches.Ending = (Outcome.DELIVERED.value, kind.value, sender, ip, recipient, moment.isoformat())
    with statements.write_transaction():
        traffic_batches.endings([ending] * number, moment)


def table_of(page: str, name: str) -> str:
    found = re.search(rf'<section[^>]*data-table="{name}".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def numbers(row: str) -> list[str]:
    return re.findall(r">([\d,]+)<", row)


@pytest.fixture
def ann() -> User:
    domain = Domain.objects.create(name="example.org")
    user = User(email="ann@example.org", domain=domain)
    user.set_unusable_password()
    user.save()
    return user


def test_alerts_that_go_on_are_at_the_top_and_lead_to_what_they_are_about(administrator: Client) -> None:
    rule = AlertRule.objects.create(name="Floods", kind=AlertKind.SENDER, threshold=100)
    common = {"rule": rule, "rule_name": "Floods", "kind": rule.kind, "threshold": 100, "highest": 900}
    AlertEvent.objects.create(key="over@example.org", value=20, began=NOW, ended=NOW, **common)
    AlertEvent.objects.create(key="test@example.org", value=200, began=NOW, is_test=True, **common)
    assert "at-box" not in administrator.get(PAGE).content.decode()
    event = AlertEvent.objects.create(key="<b>ann</b>@example.org", value=1200, began=NOW, **common)
    attention.look_again()
    page = administrator.get(PAGE).content.decode()
    found = re.search(r'<section[^>]*id="attention".*?</section>', page, re.DOTALL)
    assert found is not None
    words = re.sub(r"\s+", " ", re.sub("<[^>]*>", "", found[0])).strip()
    assert "Needs attention" in words
    assert "&lt;b&gt;ann&lt;/b&gt;@example.org handed in 1,200 messages within 10 minutes" in words
    assert f"/admin/attention/{event.pk}/" in found[0]
    of_alert = administrator.get(f"/admin/attention/{event.pk}/").content.decode()
    assert "(threshold 100)" in of_alert
    assert "/admin/spool/entry/?sender=%3Cb%3Eann%3C%2Fb%3E%40example.org" in of_alert
    for number in range(6):
        AlertEvent.objects.create(key=f"u{number}@example.org", value=200, began=NOW, **common)
    attention.look_again()
    page = administrator.get(PAGE).content.decode()
    assert page.count("handed in 200 messages") >= 6
    assert "5 more" in page


def test_it_is_the_consoles_first_page_and_says_what_would_be_on_it(administrator: Client) -> None:
    page = administrator.get(PAGE).content.decode()
    for title in ("Message Activity", *(str(table.title) for table in TABLES)):
        assert title in page
    assert "Nobody has sent mail to other servers in the last 24 hours." in page
    assert "Nothing in this time" in page
    assert 'aria-current="page">Overview' in page


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
@pytest.mark.parametrize(
    "path", ["", "overview/outbound-ips/menu/?key=192.0.2.1", "overview/outbound-ips/deliveries/24h/?key=x"]
)
def test_it_is_for_system_administrators_only(client: Client, role: Role, path: str) -> None:
    user = User(email="ann@example.org", role=role, domain=Domain.objects.create(name="example.org"))
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    answer = client.get(PAGE + path)
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


def test_message_activity_counts_deliveries_here_and_elsewhere_in_four_windows(administrator: Client) -> None:
    count(Kind.LOCAL, "x@far.test", "192.0.2.1", "ann@example.org", 3)
    for number, minutes in ((1000, 2), (200, 30), (30, 600), (4, 3000)):
        count(Kind.REMOTE, "ann@example.org", "192.0.2.2", "x@far.test", number, minutes)
    with time_machine.travel(NOW):
        rollup.roll_up()
        page = administrator.get(PAGE).content.decode()
    activity = page[page.index("t-activity") : page.index("ov-tables")]
    assert numbers(activity) == [
        "1,003",
        "1,203",
        "1,233",
        "1,237",
        "3",
        "3",
        "3",
        "3",
        "1,000",
        "1,200",
        "1,230",
        "1,234",
    ]


def test_each_table_lists_its_keys_by_24_hours_whatever_the_last_minutes_say(administrator: Client) -> None:
    count(Kind.REMOTE, "slow@example.org", "192.0.2.1", "x@far.test", 9, 600)
    count(Kind.REMOTE, "fast@example.org", "192.0.2.2", "x@far.test", 8, 1)
    count(Kind.LOCAL, "tom@far.test", "198.51.100.9", "ann@example.org", 5, 1)
    with time_machine.travel(NOW):
        rollup.roll_up()
        page = administrator.get(PAGE).content.decode()
    senders = table_of(page, "outbound-senders")
    assert re.findall(r'data-key="([^"]+)"', senders) == ["slow@example.org", "fast@example.org"]
    assert numbers(senders) == ["0", "0", "9", "9", "8", "8", "8", "8"]
    keys = {name: re.findall(r'data-key="([^"]+)"', table_of(page, name)) for name in (t.name for t in TABLES[1:])}
    assert keys == {
        "outbound-ips": ["192.0.2.1", "192.0.2.2"],
        "inbound-recipients": ["ann@example.org"],
        "inbound-senders": ["tom@far.test"],
        "inbound-ips": ["198.51.100.9"],
        "inbound-domains": ["far.test"],
    }


def test_a_full_page_needs_the_same_few_queries_as_an_empty_one(administrator: Client) -> None:
    with CaptureQueriesContext(connection) as before:
        administrator.get(PAGE)
    count_a_day(datetime.now(UTC))
    with CaptureQueriesContext(connection) as after:
        page = administrator.get(PAGE).content.decode()
    assert page.count("data-key=") == 60 + 6 + 6
    # Who has an account, and which domains are ours; what of theirs is in the spool, and what was deferred or bounced.
    assert len(after) <= len(before) + 3 + 2


def test_a_row_that_rises_is_marked_and_others_are_not(administrator: Client) -> None:
    count_a_day(datetime.now(UTC))
    senders = table_of(administrator.get(PAGE).content.decode(), "outbound-senders")
    rows = {row[: row.index('"')]: row for row in senders.split('data-key="')[1:]}
    assert [key for key, row in rows.items() if "Rising" in row] == [FLOODER]


def test_every_number_leads_to_the_very_deliveries_that_it_counts(administrator: Client) -> None:
    def deliver(sender: str, to: str, kind: Kind = Kind.REMOTE) -> None:
        attempt(take_in(a_submission(sender, to, kind, subject=f"from {sender}")), "250 ok", outcome=Outcome.DELIVERED)

    moment = datetime.now(UTC) - timedelta(hours=3)
    with time_machine.travel(moment, tick=True):
        deliver("old@example.org", "x@far.test")
    deliver("old@example.org", "y@far.test")
    deliver("New+tag@Example.org", "x@far.test")
    deliver("tom@far.test", "ann@example.org", Kind.LOCAL)
    attempt(take_in(a_submission("old@example.org", "nobody@far.test")), "550 no", outcome=Outcome.BOUNCED)
    rollup.roll_up()
    page = administrator.get(PAGE).content.decode()
    links = re.findall(r'href="(/admin/overview/[^"]+)">([\d,]+)<', page)
    assert len(links) == 8 + 4 * 2 + 4 + 4 * 4
    for link, number in links:
        behind = administrator.get(link.replace("&amp;", "&")).content.decode()
        assert behind.count('id="trace-') == int(number), unquote(link)


def test_the_messages_behind_a_number_come_page_by_page(administrator: Client) -> None:
    entries = take_in(*[a_submission(to=f"user{n}@far.test") for n in range(60)])
    attempt(entries, "250 ok", outcome=Outcome.DELIVERED)
    address = "/admin/overview/outbound-senders/deliveries/24h/?key=ann@example.org"
    first = administrator.get(address).content.decode()
    assert first.count('id="trace-') == 50
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link is not None
    second = administrator.get(link[1].replace("&amp;", "&")).content.decode()
    assert second.count('id="trace-') == 10
    assert not set(re.findall(r"user\d+@far", first)) & set(re.findall(r"user\d+@far", second))
    assert administrator.get(address + "&after=nonsense").content.decode().count('id="trace-') == 50


@pytest.mark.parametrize(
    "path",
    [
        "overview/nonsense/deliveries/24h/",
        "overview/outbound-ips/deliveries/2h/",
        "overview/x/menu/?key=y",
        "overview/inbound-ips/menu/?key=y",
    ],
)
def test_what_is_not_there_is_not_found(administrator: Client, path: str) -> None:
    assert administrator.get(PAGE + path).status_code == 404


def test_a_refresh_brings_the_numbers_alone(administrator: Client) -> None:
    page = administrator.get(PAGE, headers={"HX-Request": "true"}).content.decode()
    assert 'id="live"' in page
    assert "<html" not in page
    assert 'hx-swap-oob="true"' in page


def test_the_page_says_when_nobody_adds_up(administrator: Client) -> None:
    rollup.roll_up()
    assert "the scheduler is not running" not in administrator.get(PAGE).content.decode()
    TrafficState.objects.update(rolled=datetime.now(UTC) - timedelta(minutes=5))
    assert "the scheduler is not running" in administrator.get(PAGE).content.decode()


def test_what_a_stranger_wrote_is_text_wherever_it_appears(administrator: Client) -> None:
    evil = "\"><script>alert(1)</script>'@far.test"
    count(Kind.REMOTE, evil, "192.0.2.1", "x@far.test")
    with time_machine.travel(NOW):
        rollup.roll_up()
        page = administrator.get(PAGE).content.decode()
    menu = administrator.get("/admin/overview/outbound-senders/menu/", {"key": evil}).content.decode()
    for text in (page, menu):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


@pytest.mark.parametrize("name", RANGES)
def test_charts_of_any_range_have_a_point_for_each_step(administrator: Client, name: str) -> None:
    count_a_day(datetime.now(UTC))
    page = administrator.get(PAGE, {"range": name}).content.decode()
    points = RANGES[name].minutes // RANGES[name].step
    handed_in, below = page.split('id="charts"')
    assert below.count('class="ov-hover"') == 3 * (points - 1) + points
    # Who hands in now is the last hour, whatever the range.
    assert handed_in.count('class="ov-hover"') == 60
    assert f'range={name}#charts" aria-current="true"' in page


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1.0), (0.03, 0.04), (1, 1), (1.1, 2), (3, 4), (44, 50), (71, 80), (900, 1000)]
)
def test_an_axis_ends_at_a_round_number(highest: float, top: float) -> None:
    assert nice_top(highest) == pytest.approx(top)


@pytest.mark.parametrize(("highest", "top"), [(0.3, 0.4), (13, 20), (59, 60), (100, 120), (500, 600), (9000, 14_400)])
def test_an_axis_of_time_ends_at_a_whole_minute_or_hour(highest: float, top: float) -> None:
    assert nice_span(highest) == pytest.approx(top)


def test_a_chart_is_broken_where_nothing_is_known() -> None:
    points = [Point(minute, 1) for minute in range(60)]
    points[10].latency = [4, *[0] * 12]
    points[10].delivered_remote = 4
    [latency] = [chart for chart in charts(points, RANGES["1h"]) if chart.name == "latency"]
    assert latency.lines[0].path.count("M") == 1
    assert latency.lines[0].now == "0.1 s"
    assert "00:00: Median –, 95th percentile –" in latency.hovers


def menu_of(client: Client, table: str, key: str) -> str:
    answer = client.get(f"/admin/overview/{table}/menu/", {"key": key})
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize(
    ("table", "key", "expected"),
    [
        ("outbound-senders", "ann@example.org", {"ann@example.org outbound", "ann@example.org inbound"}),
        ("outbound-ips", "192.0.2.7", {"ann@example.org outbound", "bob@far.test outbound"}),
        ("inbound-recipients", "carl@example.org", {"tom@far.test inbound", " inbound"}),
        ("inbound-senders", "tom@far.test", {"tom@far.test inbound"}),
        ("inbound-senders", "", {" inbound"}),
        ("inbound-ips", "192.0.2.7", {"tom@far.test inbound", " inbound", "ann@example.org inbound"}),
        ("inbound-domains", "far.test", {"tom@far.test inbound"}),
    ],
)
def test_delete_messages_takes_those_of_the_row_in_its_direction_and_no_others(
    administrator: Client, table: str, key: str, expected: set[str]
) -> None:
    take_in(
        a_submission("ann@example.org", "x@far.test"),
        a_submission("bob@far.test", "x@far.test"),
        a_submission("ann@example.org", "dora@example.org", Kind.LOCAL),
        a_submission("tom@far.test", "carl@example.org", Kind.LOCAL),
        a_submission("", "carl@example.org", Kind.LOCAL),
    )
    everything = _there()
    vals = re.search(
        r"hx-vals='([^']+)' hx-target=\"#confirm\"[^>]*>\s*<span[^>]*>delete<", menu_of(administrator, table, key)
    )
    assert vals is not None
    asked = json.loads(html.unescape(vals[1]))
    dialog = administrator.post("/admin/spool/entry/action/delete/", asked).content.decode()
    assert f"Delete: {len(expected)} message" in dialog
    administrator.post("/admin/spool/entry/action/delete/perform/", asked)
    assert everything - _there() == expected


def _there() -> set[str]:
    labels = {1: "inbound", 2: "outbound"}
    return {f"{sender} {labels[way]}" for sender, way in Entry.objects.values_list("sender", "direction")}


def test_a_sender_that_is_no_account_has_the_reason_in_its_menu(administrator: Client, ann: User) -> None:
    taken = take_in(a_submission("gate@far.test"), a_submission("spoof@far.test"), a_submission("drop@far.test"))
    Entry.objects.filter(pk=taken[1].pk).update(auth_user="ann@example.org")
    Entry.objects.filter(pk=taken[2].pk).update(client_ip="", origin="drop")
    for key, reason in {
        "gate@far.test": "Its mail comes from 192.0.2.7 without a login",
        "spoof@far.test": "Its mail is sent by ann@example.org",
        "drop@far.test": "it was dropped into the spool",
    }.items():
        menu = menu_of(administrator, "outbound-senders", key)
        assert f"{key} is not an account of this server" in menu
        assert reason in menu
        assert "Disable User" not in menu
    assert "is not an account" not in menu_of(administrator, "outbound-senders", "ann@example.org")
