"""The sidebar, and who may see where it leads."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin import site
from django.test import Client
from django.urls import reverse

from accounts.models import ListMember, User
from mailspool.navigation import SECTIONS, link_to, pages_of, place_of
from spool.filters import Count
from tests.support.redis import RedisServer

pytestmark = pytest.mark.django_db
TITLES = [entry.title for _, entries in SECTIONS for entry in entries]


@pytest.fixture
def administrator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("admin@localhost", "correct-horse-battery"))
    return client


@pytest.mark.parametrize("title", TITLES)
def test_the_sidebar_has_a_link_to(administrator: Client, title: str) -> None:
    assert str(title) in administrator.get("/admin/").content.decode()


def test_every_page_opens_and_the_sidebar_has_about_twelve_entries(administrator: Client, redis: RedisServer) -> None:
    request = administrator.get("/admin/").wsgi_request
    from mailspool.navigation import sidebar

    assert len([item for section in sidebar(request) for item in section["items"]]) == len(TITLES) == 12
    links = [link for _, link, _ in pages_of(request)]
    assert len(links) == len(set(links)) == sum(len(entry.pages) for _, entries in SECTIONS for entry in entries)
    for link in links:
        assert administrator.get(link, follow=True).status_code == 200, link


def test_every_list_is_a_page_or_leads_off_one(administrator: Client, redis: RedisServer) -> None:
    assert administrator.get("/admin/").status_code == 200 and site._registry
    for model in site._registry:
        link = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        answer = administrator.get(link, follow=True)
        # Members are on the pages of their lists.
        if answer.status_code == 404 or model is ListMember:
            continue
        place = place_of(link)
        above = link_to(place.page) if place is not None else None
        assert above is not None, f"no page leads to {link}"
        shown = administrator.get(above, follow=True)
        # Buttons of a list go by an address of their own.
        buttons = {one for one in re.findall(r'href="([^"?]+)"', shown.text) if one.startswith(above)} - {above}
        leads = {
            above,
            shown.request["PATH_INFO"],
            *(administrator.get(one).headers.get("Location") for one in buttons),
        }
        assert leads & {link, answer.request["PATH_INFO"]} or link in shown.text, f"{above} does not lead to {link}"


@pytest.mark.parametrize("role", ["user", "domain_admin"])
@pytest.mark.parametrize("path", ["/admin/", "/admin/spool/entry/", "/admin/jobs/", "/admin/jobs/job/x/"])
def test_the_console_is_closed_to_all_but_system_administrators(
    client: Client, redis: RedisServer, role: str, path: str
) -> None:
    client.force_login(User.objects.create_user("ann@example.org", "correct-horse-battery", role=role))

    answer = client.get(path)

    assert answer.status_code in (302, 403) or "queues" not in answer.json(), answer.content


@pytest.mark.parametrize(
    ("path", "entry", "page"),
    [
        ("/admin/", "Mail queues", "Overview"),
        ("/admin/overview/behind/", "Mail queues", "Overview"),
        ("/admin/spool/entry/", "Mail queues", "Spool"),
        ("/admin/spool/entry/waiting/", "Mail queues", "Waiting to Deliver"),
        ("/admin/spool/entry/message/x.eml/", "Mail queues", "Spool"),
        ("/admin/quarantine/item/virus/", "Mail queues", "Virus Quarantine"),
        ("/admin/throttling/throttleevent/history/ann/", "Mail queues", "Throttled Users"),
        ("/admin/spool/trashed/", "Message trace", "Trash"),
        ("/admin/attention/7/", "Alerts", "Alerts"),
        ("/admin/spool/alertrule/add/", "Alerts", "Alert rules"),
        ("/admin/accounts/user/5/contain/", "Users", "Users"),
        ("/admin/accounts/user/connections/", "Users", "Connections"),
        ("/admin/accounts/userdefaults/1/change/", "Users", "Users"),
        ("/admin/security/whitelistentry/", "Access lists", "Whitelist"),
        ("/admin/quarantine/check/", "Settings", "Antispam"),
        ("/admin/elsewhere/", "", ""),
    ],
)
def test_the_sidebar_and_the_tabs_show_where_one_is(administrator: Client, path: str, entry: str, page: str) -> None:
    request = administrator.get("/admin/").wsgi_request
    from mailspool.navigation import sidebar
    from mailspool.page_frame import of_page

    request.path = path
    active = [item["title"] for section in sidebar(request) for item in section["items"] if item["active"]]
    assert active == ([entry] if entry else [])
    assert [tab.title for tab in of_page(request)["tabs"] if tab.current] == ([page] if page else [])


def test_no_page_stands_in_the_sidebar_and_in_the_tabs_of_another_entry() -> None:
    pages = [page.url for _, entries in SECTIONS for entry in entries for page in entry.pages]
    assert len(pages) == len(set(pages))


@pytest.mark.parametrize(
    ("count", "short", "exactly"),
    [
        (Count(0), "0", "0"),
        (Count(999), "999", "999"),
        (Count(8_914), "8.9k", "8,914"),
        (Count(8_914, more=True), "8.9k+", "more than 8,900"),
        (Count(99_999), "99.9k", "99,999"),
        (Count(123_456), "123k", "123,456"),
        (Count(999_999), "999k", "999,999"),
        (Count(1_234_567), "1.2M", "1,234,567"),
    ],
)
def test_counts_of_tabs_are_short_and_exact_on_hover(count: Count, short: str, exactly: str) -> None:
    assert (count.short, str(count)) == (short, exactly)


@pytest.mark.django_db
@pytest.mark.usefixtures("home", "redis")
def test_a_page_is_headed_by_its_way_in_the_sidebar_and_named_in_the_browser(administrator: Client) -> None:
    def heading(path: str) -> tuple[str, list[str]]:
        page = administrator.get(path).content.decode()
        title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
        way = re.search(r'<h1 class="ms-way">(.*?)</h1>', page, re.DOTALL)
        assert title is not None and way is not None
        return title[1].strip(), re.findall(r"<(?:a href=[^>]*|span title=[^>]*)>([^<]*)<", way[1])

    assert heading("/admin/spool/receivedbounce/") == ("Received bounces | Mailspool", ["Received bounces"])
    assert heading("/admin/accounts/user/add/")[1] == ["Users", "Add"]
    assert heading("/admin/quarantine/check/add/")[1] == ["Antispam", "Checks", "Add"]
    assert heading("/admin/incident/sender/ann@example.org/")[1] == ["Overview", "Address ann@example.org"]
