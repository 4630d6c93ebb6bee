"""The search over everything: what is found by what, that it asks indexes alone, and whom it answers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import actions as accounts
from accounts.models import Role, User
from mailspool.navigation import pages_of
from spool.models import Entry, Trace
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.both, pytest.mark.django_db, pytest.mark.usefixtures("home", "redis")]
SEARCH = "/admin/search/"


def found(browser: Client, text: str) -> dict[str, list[tuple[str, str]]]:
    """By group: the words of each result, and its link or the address of its dialog."""
    answer = browser.get(SEARCH, {"q": text})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    groups = {}
    for title, inner in re.findall(
        r'role="group" aria-label="([^"]+)">(.*?)(?=<div role="group"|\Z)', answer.text, re.S
    ):
        options = re.findall(r'role="option"[^>]*?(?:href|hx-post)="([^"]+)"[^>]*>(.*?)(?:</a>|</div>)', inner, re.S)
        groups[title] = [(words(label), link) for link, label in options]
    return groups


def words(markup: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", re.sub(r'<span class="material.*?</span>', "", markup)).split())


def labels(groups: dict[str, list[tuple[str, str]]], title: str) -> str:
    return "\n".join(label for label, _ in groups.get(title, []))


@pytest.fixture
def accounts_there(administrator: Client) -> dict[str, User]:
    accounts.add_domain("example.org")
    return {
        name: accounts.add_user(f"{name}@example.org", "a-rather-long-secret", name=name.title())
        for name in ("ann", "anton", "bob")
    }


def test_accounts_are_found_by_how_they_begin(administrator: Client, accounts_there: dict[str, User]) -> None:
    groups = found(administrator, "An")
    assert [label.split()[0] for label, _ in groups["Accounts"]] == ["ann@example.org", "anton@example.org"]
    assert groups["Accounts"][0][1] == f"/admin/accounts/user/{accounts_there['ann'].pk}/change/"
    assert "example.org Domain" in labels(found(administrator, "@exam"), "Accounts")


def test_an_address_leads_to_its_messages_and_to_what_can_be_done(
    administrator: Client, accounts_there: dict[str, User]
) -> None:
    take_in(
        a_submission(sender="ann@example.org", to=["far@example.net"]),
        a_submission(sender="x@example.com", to=["ann@example.org"]),
    )
    groups = found(administrator, "ann@example.org")
    assert "Messages from ann@example.org 1 in the spool" in labels(groups, "Messages")
    assert "Messages to ann@example.org 1 in the spool" in labels(groups, "Messages")
    assert "Message trace of ann@example.org" in labels(groups, "Messages")
    assert any(link.startswith("/admin/menu/user/") or "/contain/" in link for _, link in groups["Actions"])
    assert "Delete Messages" in labels(groups, "Actions")


def test_an_ip_address_can_be_blacklisted_from_there(administrator: Client) -> None:
    groups = found(administrator, "192.0.2.7")
    assert ("Blacklist IP 192.0.2.7", "/admin/menu/ip/blacklist/") in groups["Actions"]
    assert "Message trace of 192.0.2.7" in labels(groups, "Messages")


def test_a_message_is_found_by_its_file_name_and_its_message_id(administrator: Client) -> None:
    (entry,) = take_in(a_submission(subject="Invoice 7"))
    for text in (
        entry.file_name,
        entry.file_name.removesuffix(".eml").upper(),
        entry.message_id,
        entry.message_id.strip("<>"),
    ):
        groups = found(administrator, text)
        assert groups["Messages"][0][0].startswith("Invoice 7"), text
        assert groups["Messages"][0][1] == f"/admin/spool/entry/message/{entry.file_name}/"


def test_each_page_is_found_by_its_title(administrator: Client) -> None:
    request = administrator.get("/admin/").wsgi_request
    for page, link, _ in pages_of(request):
        assert link in [found_link for _, found_link in found(administrator, page.title.lower())["Pages"]], page.title


def test_pages_are_found_by_other_words(administrator: Client) -> None:
    assert "Blacklist" in labels(found(administrator, "deny ip"), "Pages")


def test_a_setting_is_found_by_its_label_and_leads_to_its_field(administrator: Client) -> None:
    groups = found(administrator, "dns failures")
    (first, *_) = groups["Settings"]
    assert first == (
        "Bounce after DNS failures Settings › Retries and bounces",
        "/admin/settings/retries-and-bounces/#id_dns_failure_limit",
    )
    assert "Antispam" in labels(found(administrator, "retry window"), "Settings")


def test_every_setting_that_is_found_is_a_field_of_its_page(administrator: Client) -> None:
    from base.languages import SOURCE
    from mailspool.search.settings import _all

    administrator.get("/admin/")
    pages: dict[str, str] = {}
    assert len(_all(SOURCE)) > 60
    for setting in _all(SOURCE):
        place, _, field = setting.link.partition("#")
        pages[place] = pages.get(place) or administrator.get(place, follow=True).text
        assert re.search(rf'id="{field}(_\d)?"|class="[^"]*field-{field.removeprefix("id_")}\b', pages[place]), (
            setting.link
        )


def test_nothing_is_looked_for_before_there_are_two_letters(administrator: Client) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert found(administrator, "a") == {}
    assert not [one for one in queries.captured_queries if "accounts_domain" in one["sql"]]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "text",
    ["ann", "ann@example.org", "example.org", "@example.org", "192.0.2.7", "2001:db8::1", "<x@example.org>", "0" * 26],
)
def test_no_table_is_looked_through(administrator: Client, accounts_there: dict[str, User], text: str) -> None:
    take_in(*(a_submission(sender="ann@example.org") for _ in range(3)))
    with CaptureQueriesContext(connection) as queries:
        found(administrator, text)
    assert len(queries) <= 60
    large = (
        Entry._meta.db_table,
        "spool_recipient",
        Trace._meta.db_table,
        "quarantine_item",
        "accounts_user",
    )
    for one in queries.captured_queries:
        if not one["sql"].startswith("SELECT"):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {one['sql']}")
            plan = [str(row[-1]) for row in cursor.fetchall()]
        for step in plan:
            assert not (step.startswith("SCAN") and any(f" {table}" in step for table in large)), (step, one["sql"])


@pytest.mark.parametrize("text", ["%%__", '"' * 300, "x" * 5_000, "<>", "::", "*@*", "../..", "ärger"])
def test_any_text_is_answered(administrator: Client, text: str) -> None:
    found(administrator, text)


def test_markup_in_a_subject_stays_text(administrator: Client) -> None:
    (entry,) = take_in(a_submission(subject="<img src=x onerror=alert(1)>"))
    answer = administrator.get(SEARCH, {"q": entry.file_name}).text
    assert "&lt;img src=x" in answer
    assert "<img" not in answer


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
def test_others_are_not_answered(client: Client, role: Any) -> None:
    accounts.add_domain("example.org")
    client.force_login(accounts.add_user("ann@example.org", "a-rather-long-secret", role=role))
    assert client.get(SEARCH, {"q": "example.org"}).status_code == 302
