"""Encoded words, however they were written."""

from __future__ import annotations

from email.header import Header, decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.message.summary import decoded


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("=?utf-8?Q?caf=C3=A9?=", "café"),
        ("=?utf-8*en?q?caf=C3=A9?=", "café"),
        ("=?gb2312?B?1uzpRrv5?= =?utf-8?q?caf=C3=A9?=", "朱镕基café"),
        ("done =?utf-8?Q?=E2=9C=94?=\r\n (1476358788189)", "done ✔ (1476358788189)"),
        ("=?utf-8?Q?a?=\r\n =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?=E2=9C?= =?utf-8?Q?=94?=", "✔"),
        ("=?utf-8?B?w?= x", " x".strip()),
        ("=?iso-8859-1?Q?=80_5?=", "€ 5"),
        ("=?iso-2022-jp?B?GyRCJCIbKEI=?=", "あ"),
        ("=?utf-8?Q?a_b=5Fc?=", "a b_c"),
        ("[=?utf-8?Q?x?=]", "[x]"),
        ("=?utf-8?Q?a b?=", "a b"),
        # What can't be decoded stays, and spoils nothing beside it.
        ("=?no-such-set?Q?x?= =?utf-8?Q?=C3=A9?=", "=?no-such-set?Q?x?= é"),
        ("=?\u00fctf-8?Q?x?=", "=?\u00fctf-8?Q?x?="),
        ("=?é?q?x?=", "=?é?q?x?="),
        ("=?utf-8?X?x?=", "=?utf-8?X?x?="),
        ("=?utf-8?Q?never ended", "=?utf-8?Q?never ended"),
        ("=?punycode?Q?abc?=", "=?punycode?Q?abc?="),
    ],
)
def test_each_word_is_decoded_as_well_as_can_be(raw: str, shown: str) -> None:
    assert decoded(raw.encode()) == shown


def test_what_would_turn_a_line_around_is_visible() -> None:
    assert decoded(b"=?utf-8?Q?invoice_=E2=80=AEgnp.exe?=") == "invoice \ufffdgnp.exe"
    assert decoded("a\u2028b\u0085c\u009bd".encode()) == "a b c\ufffdd"


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40))
def test_what_the_library_encodes_comes_back(text: str) -> None:
    encoded = Header(text, "utf-8").encode()
    if str(make_header(decode_header(encoded))) == text:
        assert decoded(encoded.encode()) == text[:255]


@given(st.text(max_size=300) | st.text("=?utf-8QBé_ \r\n\tabc", max_size=300))
def test_nothing_is_too_odd(text: str) -> None:
    decoded(text.encode("utf-8", "replace"))
