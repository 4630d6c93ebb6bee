"""The pages of the console, by their titles and by other words for what they are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.http import HttpRequest

from mailspool.navigation import pages_of
from mailspool.search.results import Result

MOST: Final = 6


def matching(request: HttpRequest, text: str) -> list[Result]:
    """Pages in whose words every word of the text begins a word, those named by their titles first."""
    words = text.lower().split()
    found = sorted(_ranked(request, words), key=lambda one: one[0])
    return [result for _, result in found[:MOST]]


def _ranked(request: HttpRequest, words: list[str]) -> Iterator[tuple[int, Result]]:
    for page, link, section in pages_of(request):
        title = page.title.lower().split()
        if begin_words(words, title):
            rank = 0
        elif begin_words(words, [*title, *page.words.split(), *section.lower().split()]):
            rank = 1
        else:
            continue
        yield rank, Result(str(page.title), page.icon, str(section), link)


def begin_words(wanted: list[str], words: list[str]) -> bool:
    """Whether each that is wanted is how one of the words begins."""
    return bool(wanted) and all(any(word.startswith(one) for word in words) for one in wanted)
