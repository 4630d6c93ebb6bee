"""The sidebar, and who may see where it leads."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from mailspool.navigation import SECTIONS
from tests.support.redis import RedisServer

pytestmark = pytest.mark.django_db
TITLES = [title for _, pages in SECTIONS for title, *_ in pages]


@pytest.fixture
def administrator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("admin@localhost", "correct-horse-battery"))
    return client


@pytest.mark.parametrize("title", TITLES)
def test_the_sidebar_has_a_link_to(administrator: Client, title: str) -> None:
    assert title in administrator.get("/admin/").content.decode()


def test_every_link_of_the_sidebar_opens(administrator: Client, redis: RedisServer) -> None:
    request = administrator.get("/admin/").wsgi_request
    from mailspool.navigation import sidebar

    links = [item["link"] for section in sidebar(request) for item in section["items"]]

    assert len(links) == len(TITLES)
    for link in links:
        assert administrator.get(link, follow=True).status_code == 200, link


@pytest.mark.parametrize("role", ["user", "domain_admin"])
@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/spool/entry/", "/admin/django_rq/dashboard/", "/admin/django_rq/dashboard/stats.json/"]
)
def test_the_console_is_closed_to_all_but_system_administrators(
    client: Client, redis: RedisServer, role: str, path: str
) -> None:
    client.force_login(User.objects.create_user("ann@example.org", "correct-horse-battery", role=role))

    answer = client.get(path)

    assert answer.status_code in (302, 403) or "queues" not in answer.json(), answer.content


@pytest.mark.parametrize(
    ("path", "title"),
    [("/admin/", "Overview"), ("/admin/spool/entry/waiting/", "Waiting to Deliver"), ("/admin/elsewhere/", "")],
)
def test_the_sidebar_shows_where_one_is(administrator: Client, path: str, title: str) -> None:
    request = administrator.get("/admin/").wsgi_request
    from mailspool.navigation import sidebar

    request.path = path
    assert [item["title"] for section in sidebar(request) for item in section["items"] if item["active"]] == (
        [title] if title else []
    )
