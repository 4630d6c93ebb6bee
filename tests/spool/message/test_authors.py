"""Who a header says a message is from, as any reader may understand it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.message.authors import LONGEST, Unclear, senders
from spool.message.header import Header


def of(*lines: str | bytes) -> list[str]:
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return senders(Header.of(b"\r\n".join([*raw, b"", b""])))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("ann@a.test", ["ann@a.test"]),
        ("Ann <ann@a.test>", ["ann@a.test"]),
        ('"Ann, of a.test" <ann@a.test>', ["ann@a.test"]),
        ('"boss@b.test" <ann@a.test>', ["ann@a.test"]),
        ("ann@a.test (boss@b.test)", ["ann@a.test"]),
        ("=?utf-8?q?boss=40b.test?= <ann@a.test>", ["ann@a.test"]),
        ("ann @ a.test", ["ann@a.test"]),
        ("boss@b.test <ann@a.test>", ["boss@b.test", "ann@a.test"]),
        ("ann@a.test, boss@b.test", ["ann@a.test", "boss@b.test"]),
        ("ann@a.test; boss@b.test", ["ann@a.test", "boss@b.test"]),
        ("us: ann@a.test, boss@b.test;", ["ann@a.test", "boss@b.test"]),
        ("<@r.test:ann@a.test>", ["@r.test", "ann@a.test"]),
        ('"ann"@a.test', ['"ann"@a.test']),
        ('"a@b.test, x"@a.test', ['"a\ufffdb.test\ufffd\ufffdx"@a.test']),
        (r'"a \" <boss@b.test>" <ann@a.test>', ["ann@a.test"]),
        (r"(a \) boss@b.test) ann@a.test", ["ann@a.test"]),
        ("Ann\r\n <ann@a.test>", ["ann@a.test"]),
        ("Ännchen <änn@ä.test>", ["änn@ä.test"]),
    ],
)
def test_every_address_is_seen_and_no_name_is_taken_for_one(value: str, found: list[str]) -> None:
    assert of(f"From: {value}") == found


def test_all_fields_count_and_the_sender_field_too() -> None:
    lines = ("From: ann@a.test", "from : boss@b.test", "Sender: chief@c.test", "To: dan@d.test", "Reply-To: e@e.test")
    assert of(*lines) == ["ann@a.test", "boss@b.test", "chief@c.test"]
    assert of("Subject: nobody says who") == []


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "no address"),
        ("undisclosed:;", "no address"),
        ("Ann", "no address"),
        ('"Ann <ann@a.test>', "quote without its end"),
        ("(Ann <ann@a.test>", "comment without its end"),
        ("x" * (LONGEST + 1), "longer than"),
        (", ".join(f"a{n}@a.test" for n in range(60)), "more than 50"),
    ],
)
def test_what_cannot_be_read_for_certain_is_said_to_be_so(value: str, why: str) -> None:
    with pytest.raises(Unclear, match=why):
        of(f"From: {value}")


@pytest.mark.parametrize("unit", [" ", "@", '"', "(", "a", '"" ', "a@", "\\", '"\\'])
def test_a_field_takes_a_moment_whatever_it_says(unit: str) -> None:
    began = time.process_time()
    try:
        of("From: x" + unit * (LONGEST // len(unit) - 10))
    except Unclear:
        pass
    assert time.process_time() - began < 1


@given(st.binary(max_size=300))
def test_no_header_breaks_it(value: bytes) -> None:
    try:
        found = senders(Header(b"From: " + value))
    except Unclear:
        return
    assert all("@" in address and not any(c.isspace() for c in address) for address in found)
