"""Parameters of MIME fields, however they were written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.message.parameters import split_value


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"attachment; filename=a.txt", "a.txt"),
        (b'attachment; filename="a b;c.txt"; size=1', "a b;c.txt"),
        (b'attachment; FileName="a\\"b"', 'a"b'),
        (b"attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf", "résumé.pdf"),
        (b"attachment; filename*0=a; filename*1=b.txt", "ab.txt"),
        (b"attachment; filename*0*=utf-8''a%C3; filename*1*=%A9; filename*2=.txt", "aé.txt"),
        # Both forms at once: the whole one, and no error.
        (b"attachment; filename*=utf-8''a.txt; filename*0=\"b.txt\"", "a.txt"),
        (b"attachment; filename*0=a; filename*2=c", "a"),
        (b"attachment; filename*=no-such-set''a%41", "aA"),
        (b"attachment; filename*=a", "a"),
        (b'attachment; filename="never ended', "never ended"),
        ("attachment; filename=résumé.pdf".encode(), "résumé.pdf"),
        (b"attachment", None),
    ],
)
def test_a_file_name_is_found_in_each_form(value: bytes, name: str | None) -> None:
    main, parameters = split_value(value)
    assert main == "attachment"
    assert parameters.get("filename") == name


@given(st.binary(max_size=300) | st.text(";=*'\"\\ %0123abc", max_size=300).map(str.encode))
def test_nothing_is_too_odd(value: bytes) -> None:
    split_value(value)
