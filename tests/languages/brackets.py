"""A language that there is not, with each message in brackets: what stands outside of them is no message."""

from __future__ import annotations

import re

import pytest
from django.utils import translation

from base.languages import SOURCE
from base.stored_texts import said
from tests.languages.texts import texts_of

_BRACKETED = re.compile(r"⟦[^⟦⟧]*⟧")
_WORD = re.compile(r"[A-Za-z]{3,}")
# What is no text of ours: paths, addresses, moments and codes, which are one word of small letters or have a dot or a
# line in them; commands; names of programs, languages and algorithms; descriptions that were stored with the first
# networks; and a word of Unfold.
_VALUES = re.compile(
    r"manage\.py .*|/\S+|\S*[.@_\d]\S*|^[a-z-]+$|UTC|Mailspool|ClamAV|Web|Version \S+|English|Deutsch|Español|Français"
    r"|add (?:domain|user|list|alias)|change defaults|by mailspool|Internal network(?:, of one link)?"
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


def put_around_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message in brackets from now on, in whatever language but English: what is stored stays as it is."""

    def one(message: str) -> str:
        return f"⟦{message}⟧" if message and translation.get_language() not in (None, SOURCE) else message

    def many(singular: str, plural: str, number: int) -> str:
        return one(singular if number == 1 else plural)

    # Templates of stored sentences are read once in a process: not with brackets.
    with translation.override("de"):
        said("Removed by nobody")
    monkeypatch.setattr(translation._trans, "gettext", one, raising=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(translation._trans, "ngettext", many, raising=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(translation._trans, "pgettext", lambda _context, message: one(message), raising=False)  # type: ignore[attr-defined]


def outside(page: str) -> list[str]:
    """The texts of a page, or of a part of one, that have words which are no message."""
    # A link within a sentence parts it.
    html = re.sub(r"</?(?:a|strong|em|code|b|kbd)\b[^>]*>", "", page)
    return [left for text in texts_of(html) if (left := outside_of(text))]


def outside_of(text: str) -> str:
    """What is no message in a text; empty where that says nothing."""
    left = text
    while (shorter := _BRACKETED.sub(" ", left)) != left:
        left = shorter
    # An element in the middle of a message parts it, too.
    left = re.sub(r"^[^⟦]*⟧|⟦[^⟧]*$", " ", left)
    return left.strip() if _WORD.search(_VALUES.sub(" ", _WRITTEN.sub(" ", left).strip())) else ""
