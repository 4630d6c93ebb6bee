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
from base.stored_texts import said
from mailspool.navigation import SECTIONS
from mailspool.setting_pages.places import places
from spool.actions import Actor
from tests.languages.texts import texts_of
from tests.upgrades import every_state
from throttling import first_policy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home"), pytest.mark.alike]
_BRACKETED = re.compile(r"⟦[^⟦⟧]*⟧")
_LINK = re.compile(r'(?:href|hx-get|data-menu)="([^"]+)"')
# These end something, or are files; and what a look at the machine finds is said as the command `check` says it.
_NO_LOOKS = ("logout", "export", "download", "hijack", "source", "content", "first_run")
_WORD = re.compile(r"[A-Za-z]{3,}")
# What is no text of ours: paths, addresses, moments and codes, which are one word of small letters or have a dot or a
# line in them; commands; names of programs, languages and algorithms; descriptions that were stored with the first
# networks; and a word of Unfold.
_VALUES = re.compile(
    r"manage\.py .*|/\S+|\S*[.@_\d]\S*|^[a-z-]+$|UTC|Mailspool|ClamAV|Web|Version \S+|English|Deutsch|Español|Français"
    r"|add (?:domain|user|list|alias)|change defaults|by mailspool|login protection|Internal network(?:, of one link)?"
    r"|This machine|^Search$"
)

# What people and other servers wrote in the messages and rows of tests.upgrades.every_state, and how Django calls a
# table between two others.
_WRITTEN = re.compile(
    r"(?:Not delivered: )?A message: .* – é|asked for by Bob|450 4.2.0 Greylisted, try again later|12\.5 points"
    r"|Eicar \(clamd\)|root \(shell\)|550 5.1.1 No such user here|Much waits|Ours – für alle|Ann Ängström"
    r"|guesses passwords|messages sent by the user \S+, on hold: no|messages per hour: 100|greylisting: 5, 10"
    r"|v=DKIM1; k=rsa; p=x|Mon, 02 Mar 2026 12:00:00 \+0000|Guardpolicy-user relationships?:.*|User defaults"
    r"|· mailspool|by Web from|< 15 min"
    r"|^\W*(?:\(1\) )?(?:imap|CSV|TLS|min|Words|From|Subject|Date|Message-ID|X-Test-Id)\b[ |\d]*(?:Mailspool)?\W*$"
)


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message in brackets, whatever the language."""

    def one(message: str) -> str:
        return f"⟦{message}⟧" if message else message

    def many(singular: str, plural: str, number: int) -> str:
        return one(singular if number == 1 else plural)

    # Templates of stored sentences are read once in a process: not with brackets.
    with translation.override("de"):
        said("Removed by nobody")
    monkeypatch.setattr(translation._trans, "gettext", one, raising=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(translation._trans, "ngettext", many, raising=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(translation._trans, "pgettext", lambda _context, message: one(message), raising=False)  # type: ignore[attr-defined]


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


def test_no_page_of_the_console_says_what_is_no_message(console: Client, brackets: None) -> None:
    assert _outside(console, dict.fromkeys(_pages())) == {}


def test_nor_does_one_with_rows_of_every_kind(console: Client, every_row: None, brackets: None) -> None:
    seen: dict[str, None] = {}
    assert _outside(console, _linked(console, seen)) == {}
    assert len(seen) > 100


def _outside(console: Client, pages: Iterable[str]) -> dict[str, str]:
    """What is no message, with a page on which it stands."""
    outside: dict[str, str] = {}
    for page in pages:
        answer = console.get(page, follow=True)
        if answer.status_code != 200 or "html" not in answer.headers["Content-Type"]:
            continue
        # A link within a sentence parts it.
        html = re.sub(r"</?(?:a|strong|em|code|b|kbd)\b[^>]*>", "", answer.content.decode())
        for text in texts_of(html):
            left = text
            while (shorter := _BRACKETED.sub(" ", left)) != left:
                left = shorter
            # An element in the middle of a message parts it, too.
            left = re.sub(r"^[^⟦]*⟧|⟦[^⟧]*$", " ", left)
            if _WORD.search(_VALUES.sub(" ", _WRITTEN.sub(" ", left).strip())):
                outside.setdefault(left.strip(), page)
    return outside


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
