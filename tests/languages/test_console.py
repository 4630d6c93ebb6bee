"""The console in a language that there is not, with each message in brackets: what stands outside is no message."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import translation

from accounts import actions
from accounts.models import User
from mailspool.navigation import SECTIONS
from mailspool.setting_pages.places import places
from spool.actions import Actor
from tests.languages.texts import texts_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home"), pytest.mark.alike]
_BRACKETED = re.compile(r"⟦[^⟦⟧]*⟧")
_WORD = re.compile(r"[A-Za-z]{3,}")
# What is no text of ours: addresses, moments and codes, which are one word of small letters or have a dot or a line
# in them; commands; names of programs, languages and algorithms; descriptions that were stored with the first networks;
# and a word of Unfold.
_VALUES = re.compile(
    r"manage\.py .*|\S*[.@_\d]\S*|^[a-z-]+$|UTC|Mailspool|ClamAV|Web|Version \S+|English|Deutsch|Español|Français"
    r"|add (?:domain|user)|by mailspool|login protection|Internal network(?:, of one link)?|This machine|^Search$"
)


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message in brackets, whatever the language."""

    def one(message: str) -> str:
        return f"⟦{message}⟧" if message else message

    def many(singular: str, plural: str, number: int) -> str:
        return one(singular if number == 1 else plural)

    monkeypatch.setattr(translation._trans, "gettext", one, raising=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(translation._trans, "ngettext", many, raising=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(translation._trans, "pgettext", lambda _context, message: one(message), raising=False)  # type: ignore[attr-defined]


@pytest.fixture
def console(client: Client) -> Client:
    actor = Actor.system()
    actions.add_domain("example.org", actor=actor)
    actions.add_user("ann@example.org", "a-rather-long-secret", actor=actor)
    client.force_login(User.objects.create_superuser("admin@example.org", "a-rather-long-secret"))
    return client


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
    outside: dict[str, set[str]] = {}
    for page in dict.fromkeys(_pages()):
        answer = console.get(page, follow=True)
        if answer.status_code != 200 or "html" not in answer.headers["Content-Type"]:
            continue
        # A link within a sentence parts it.
        html = re.sub(r"</?(?:a|strong|em|code|b|kbd)\b[^>]*>", "", answer.content.decode())
        for text in texts_of(html):
            left = text
            while (shorter := _BRACKETED.sub(" ", left)) != left:
                left = shorter
            if _WORD.search(_VALUES.sub(" ", left)):
                outside.setdefault(left.strip(), set()).add(page)
    assert sorted(outside) == []
