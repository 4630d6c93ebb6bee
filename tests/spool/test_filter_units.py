"""Ages and sizes as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.filters import BadFilter, SpoolFilter, parse_age, parse_size


@given(st.integers(0, 5_217), st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)]))
def test_a_written_age_is_read(number: int, unit: tuple[str, int]) -> None:
    assert parse_age(f" {number}{unit[0].upper()}") == timedelta(seconds=number * unit[1])


@given(st.integers(0, 10**9), st.sampled_from([("", 1), ("KB", 1024), ("mb", 1024**2), (" GB", 1024**3)]))
def test_a_written_size_is_read(number: int, unit: tuple[str, int]) -> None:
    assert parse_size(f"{number}{unit[0]}") == number * unit[1]


@given(st.text())
def test_any_other_text_is_refused_with_an_example(text: str) -> None:
    for parse, example in ((parse_age, "30m"), (parse_size, "10MB")):
        try:
            parse(text)
        except BadFilter as error:
            assert example in str(error)


@pytest.mark.parametrize("text", ["", "m", "-5m", "5", "5y", "1.5h", "9999999d", "999999w", "36526d", "5 m x"])
def test_no_ages(text: str) -> None:
    with pytest.raises(BadFilter):
        parse_age(text)


@pytest.mark.parametrize("text", ["", "KB", "-5KB", "5TB", "5K B", "0x10", "1e3"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(BadFilter):
        parse_size(text)


@pytest.mark.parametrize("name", ["", "colour", "Sender"])
def test_a_condition_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(BadFilter, match=f"There is no condition {name or ''}"):
        SpoolFilter.parse({name: "x"})
