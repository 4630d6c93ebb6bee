"""`*` in a search: what it finds on this database, and that a hostile one costs next to nothing."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from django.db.models import CharField, Q, TextField, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from quarantine.filters import ItemFilter
from quarantine.models.item import Item
from spool.filters import BadFilter, SpoolFilter, from_text
from spool.filters.wildcards import Wild, WildLine, checked
from spool.models import Entry

PIECES = st.lists(st.sampled_from("aAbé.%_\\[(@"), max_size=4).map("".join)
PATTERNS = st.lists(PIECES, min_size=2, max_size=5).map("*".join)
ON_DATABASE = settings(max_examples=60)


def _finds(lookup: str, pattern: str, text: str) -> bool:
    field: Any = TextField() if lookup == "wild_line" else CharField()
    return Q(**{f"text__{lookup}": pattern}).check({"text": Value(text, output_field=field)})


def _as_told(pattern: str, text: str) -> bool:
    plain = "*".join(re.sub(r"([\[?])", r"[\1]", piece) for piece in pattern.split("*"))
    return fnmatch.fnmatchcase(text.lower(), plain.lower())


@pytest.mark.django_db
@ON_DATABASE
@given(PATTERNS, st.lists(PIECES, max_size=4).map("".join))
def test_a_star_stands_for_any_text_and_nothing_else_has_a_meaning(pattern: str, text: str) -> None:
    assert _finds("wild", pattern, text) == _as_told(pattern, text)


@pytest.mark.django_db
@ON_DATABASE
@given(PATTERNS, st.lists(PIECES, max_size=4))
def test_of_several_lines_one_must_fit_as_a_whole(pattern: str, lines: list[str]) -> None:
    assert _finds("wild_line", pattern, "\n".join(lines)) == any(_as_told(pattern, line) for line in lines or [""])


@pytest.mark.parametrize("lookup", [Wild, WildLine])
def test_a_text_that_all_but_fits_is_read_once(lookup: type[Wild]) -> None:
    # Without a bound this takes longer than the universe is old.
    assert not re.search(lookup.expression("*".join(["", *"a" * 40, "b"])), "a" * 100_000)


@pytest.mark.django_db
@pytest.mark.parametrize("lookup", ["wild", "wild_line"])
def test_the_database_is_done_with_it_too(lookup: str) -> None:
    assert not _finds(lookup, f"{'*a' * 8}*b", "a" * 5_000)


def test_stars_on_end_are_one_and_too_many_are_refused_with_the_reason() -> None:
    assert checked("**@example.org") == "*@example.org"
    pattern = f"{'*a' * 9}@example.org"
    for ask in (
        lambda: SpoolFilter.parse({"sender": pattern}),
        lambda: SpoolFilter.parse({"recipient": pattern}),
        lambda: SpoolFilter.parse({"auth-user": pattern}),
        lambda: ItemFilter.parse({"recipient": pattern}),
        lambda: from_text(pattern),
    ):
        with pytest.raises(BadFilter, match="more than 8 wildcards"):
            ask()


@pytest.mark.django_db
def test_as_many_stars_as_are_taken_are_a_query() -> None:
    pattern = f"{'*a' * 7}*@example.org"
    for name in ("sender", "recipient", "auth-user"):
        assert not SpoolFilter.parse({name: pattern}).apply(Entry.objects.all()).exists()
        assert not ItemFilter.parse({name: pattern}).apply(Item.objects.all()).exists()
