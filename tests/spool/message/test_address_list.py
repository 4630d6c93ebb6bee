"""Whom a field such as To names: what is certain, and what is not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.message.address_list import read

ANN, CY = "ann@example.org", "cy@example.org"


@pytest.mark.parametrize(
    "text",
    [
        f"{ANN}, {CY}",
        f"{ANN}; {CY}",
        f"{ANN} {CY}",
        f"{ANN},{CY};",
        f"{ANN}\r\n {CY}",
        f"<{ANN}> <{CY}>",
        f"Ann <{ANN}> Cy <{CY}>",
        f'"Miller, Ann" <{ANN}>, Cy (sales; (all of it)) <{CY}>',
        f"Team: {ANN}, {CY};",
        f"Team:{ANN};, Others: <{CY}>;",
        f"{ANN} (Ann), {CY} (Cy)",
        f"ann @ example.org, (Cy) {CY}",
        f",, {ANN},, {CY}",
        f"{ANN} <{ANN}>, <@relay.test,@next.test:{CY}>",
        f'"{ANN}" <{ANN}>,"{ANN}; x" <{CY}>',
        f"mailto:{ANN}, {CY}",
    ],
)
def test_what_is_certain_is_read_however_it_is_divided(text: str) -> None:
    found = read(text)
    assert (found.addresses, found.doubts) == ([ANN, CY], [])


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (f"{ANN}, (sales {CY}", [ANN]),
        (f'{ANN}, "sales {CY}', [ANN]),
        (f"{ANN}, <{CY}", [ANN]),
        (f"{ANN}, <{CY}, <bob@example.org>", [ANN]),
        (f"{ANN}, Miller, <{CY}>", [ANN, CY]),
        (f"{ANN} extra words, {CY}", [CY]),
        (f"{ANN} .test, {CY}", [CY]),
        (f"{ANN}. test, {CY}", [CY]),
        (f"ann@exa(mple)mple.org, {CY}", [CY]),
        (f"<{ANN}>.test, {CY}", [CY]),
        (f"<{ANN}> and more, {CY}", [ANN, CY]),
        (f"bob@example.org <{ANN}>, {CY}", [ANN, CY]),
        (f"Ann Miller {ANN}, {CY}", [CY]),
        (f"ann@@example.org, {CY}", [CY]),
        (f"{ANN}:25, {CY}", [CY]),
        (f"ann@ex\ufffdample.org, {CY}", [CY]),
        (f"<>, {CY}", [CY]),
        (f"<ann smith@example.org>, {CY}", [CY]),
        (f"<{ANN}, bob@example.org>, {CY}", [CY]),
        ("nonsense", []),
    ],
)
def test_what_is_not_certain_is_told_and_guessed_by_nobody(text: str, addresses: list[str]) -> None:
    found = read(text)
    assert found.addresses == addresses
    assert len(found.doubts) >= 1


def test_the_reason_is_about_what_is_wrong() -> None:
    assert read(f"{ANN} extra words").doubts[0].startswith(f"'{ANN} extra words': words stand beside the address")
    assert "needs a local part" in read("nonsense").doubts[0]


def test_quoted_local_parts_stay_as_they_are() -> None:
    assert read('"a b"@x.test, <"c @ d"@x.test>').addresses == ['"a b"@x.test', '"c @ d"@x.test']


def test_nobody_and_nothing_to_complain_of() -> None:
    for text in ("", " , ;", "undisclosed-recipients:;", "(nobody)"):
        assert (read(text).addresses, read(text).doubts) == ([], [])


@given(st.text(alphabet='ab@.,;:<>()[]"\\ \t\r\n\0é'))
def test_any_text_is_read(text: str) -> None:
    read(text)


@pytest.mark.parametrize("piece", ['"\\', "(", "<", "[", "@", '\\"', "a@b<", "(\\)", ":", "<@a,", "a b "])
def test_the_time_grows_with_the_text(piece: str) -> None:
    started = time.process_time()
    for text in (piece * 100_000, '"' + piece * 100_000, "(" + piece * 100_000):
        found = read(text)
        assert sum(map(len, found.doubts)) < 20_000
    assert time.process_time() - started < 20
