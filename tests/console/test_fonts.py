"""The console's own cut of Unfold's fonts, and what Unfold's templates are spared."""

from __future__ import annotations

import re

import pytest
from django.template.loader import get_template
from fontTools.ttLib import TTFont

from mailspool.manual import fonts
from mailspool.unfold_templates import CHARTS_SCRIPT, marked


def test_every_icon_of_a_page_is_in_the_font() -> None:
    whole = fonts.ligatures(TTFont(fonts.SYMBOLS))
    there = fonts.ligatures(TTFont(fonts.folder() / fonts.ICONS))
    assert {"search", "delete", "forward_to_inbox", "coronavirus"} <= set(there)
    # Said after an icon was added: run `make fonts`.
    assert fonts.used(whole) - set(there) == set()


@pytest.mark.parametrize("name", ["Inter-Regular.woff2", "Inter-SemiBold.woff2"])
def test_letters_of_our_texts_are_in_the_font(name: str) -> None:
    letters = set(TTFont(fonts.folder() / name).getBestCmap())
    assert {ord(letter) for letter in "aZäßéñŁő€–…→≤’“"} <= letters


def test_icons_are_hidden_from_screen_readers_unless_they_explain() -> None:
    plain = marked('<span class="material-symbols-outlined md-18">search</span>')
    assert plain == '<span aria-hidden="true" class="material-symbols-outlined md-18">search</span>'
    assert marked(plain) == plain
    help_text = marked('<span class="cursor-help material-symbols-outlined" title="How long">help</span>')
    assert help_text.startswith('<span role="img" class=')


def test_the_button_that_searches_a_list_has_a_name() -> None:
    source = get_template("admin/search_form.html").template.source  # type: ignore[attr-defined]
    assert source.count('aria-label="Search" id="searchbar-submit"') == 1


def test_pages_do_without_the_library_of_charts() -> None:
    # Unfold may change how it names the script: then its pages would load it again.
    source = get_template("unfold/layouts/skeleton.html").template.source  # type: ignore[attr-defined]
    assert "chart.js" not in source
    original = (fonts.UNFOLD / "templates" / "unfold" / "layouts" / "skeleton.html").read_text()
    assert CHARTS_SCRIPT in original
    assert len(re.findall("<script", source)) == len(re.findall("<script", original)) - 1
