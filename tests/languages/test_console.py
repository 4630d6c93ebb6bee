"""The console in a language that there is not, with each message in brackets: what stands outside is no message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils import translation

from accounts import actions
from accounts.models import User
from base.audit.models import AuditEvent
from mailspool.navigation import SECTIONS
from mailspool.setting_pages.places import places
from quarantine.console.actions import BUTTONS as OF_ITEMS
from quarantine.models import ItemKind
from spool.actions import Actor
from spool.console.actions import ACTIONS as OF_ENTRIES
from tests.languages import brackets
from tests.upgrades import every_state
from throttling import first_policy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home"), pytest.mark.alike]
_LINK = re.compile(r'(?:href|hx-get|data-menu)="([^"]+)"')
# These end something, or are files; and what a look at the machine finds is said as the command `check` says it.
_NO_LOOKS = ("logout", "export", "download", "hijack", "source", "content", "first_run")

# What actions on messages are given, where they need it.
_GIVEN = {
    "priority": {"priority": "1"},
    "hold": {"until": "2099-01-01 12:00"},
    "redirect": {"to": "x@far.test"},
    "resend": {"to": "x@far.test"},
}


@pytest.fixture
def in_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    brackets.put_around_messages(monkeypatch)


@pytest.fixture
def console(client: Client) -> Client:
    actor = Actor.system()
    actions.add_domain("example.org", actor=actor)
    actions.add_user("ann@example.org", "a-rather-long-secret", actor=actor)
    # What was stored in English is said anew for everybody but English people.
    client.force_login(User.objects.create_superuser("admin@example.org", "a-rather-long-secret", language="de"))
    return client


@pytest.fixture
def every_row(console: Client) -> None:
    """Something of every kind, by the code that makes it in life."""
    # A test's database has lost what migrations put into it.
    first_policy.make()
    every_state.fill(every_state.Mail())


def _pages() -> Iterator[str]:
    for _title, entries in SECTIONS:
        for entry in entries:
            for page in entry.pages:
                try:
                    yield reverse(page.url)
                except NoReverseMatch:
                    continue
                if page.url.endswith("_changelist"):
                    try:
                        yield reverse(page.url.replace("_changelist", "_add"))
                    except NoReverseMatch:
                        continue
    for place in places():
        yield place.link


def test_no_page_of_the_console_says_what_is_no_message(console: Client, in_brackets: None) -> None:
    assert _outside(console, dict.fromkeys(_pages())) == {}


def test_nor_does_one_with_rows_of_every_kind(console: Client, every_row: None, in_brackets: None) -> None:
    seen: dict[str, None] = {}
    assert _outside(console, _linked(console, seen)) == {}
    assert len(seen) > 100


def test_nor_does_the_dialog_of_an_action_on_messages_nor_what_comes_of_it(
    console: Client, every_row: None, in_brackets: None
) -> None:
    last = AuditEvent.objects.latest("pk").pk
    found = {text: verb for verb, answer in _done_to_messages(console) for text in brackets.outside(answer)}
    written = AuditEvent.objects.filter(pk__gt=last)
    assert written.count() > 10
    with translation.override("de"):
        for event in written:
            said = (event.title, event.about, event.outcome)
            found |= {text: event.action for one in said if (text := brackets.outside_of(one))}
    assert found == {}


def _done_to_messages(console: Client) -> Iterator[tuple[str, str]]:
    """What each dialog says, and the answer to what it posts, of all messages that there are."""
    for urls, buttons in (("admin:spool_entry", OF_ENTRIES), ("admin:quarantine_item", OF_ITEMS[ItemKind.SPAM])):
        for button in buttons:
            if button.verb is None:
                continue
            given = {f"p-{name}": value for name, value in _GIVEN.get(button.url, {}).items()}
            for door in ("dialog", "perform"):
                chosen = {"all": "1", "query": "", "page": "admin:quarantine_item_spam", **given}
                answer = console.post(reverse(f"{urls}_{door}", args=[button.url]), chosen)
                assert answer.status_code == 200, (button.url, door)
                yield button.url, answer.content.decode()


def _outside(console: Client, pages: Iterable[str]) -> dict[str, str]:
    """What is no message, with a page on which it stands."""
    found: dict[str, str] = {}
    for page in pages:
        answer = console.get(page, follow=True)
        if answer.status_code == 200 and "html" in answer.headers["Content-Type"]:
            for text in brackets.outside(answer.content.decode()):
                found.setdefault(text, page)
    return found


def _linked(console: Client, seen: dict[str, None]) -> Iterator[str]:
    """Each page that a link leads to, from those of the navigation on: one of each kind."""
    waiting = list(_pages())
    while waiting:
        page = waiting.pop(0)
        try:
            found = resolve(urlsplit(page).path)
        except Resolver404:
            continue
        kind = f"{found.view_name} {found.kwargs.get('kind', '')} {found.kwargs.get('section', '')}"
        if kind in seen or any(word in kind for word in _NO_LOOKS):
            continue
        seen[kind] = None
        yield page
        answer = console.get(page, follow=True)
        if "html" in answer.headers.get("Content-Type", ""):
            links = _LINK.findall(answer.content.decode())
            waiting += [urljoin(page, unescape(link)) for link in links if not link.startswith(("#", "?", "http"))]
