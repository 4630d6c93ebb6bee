"""The header of a message as the checks read it."""

from __future__ import annotations

from email import policy
from email.parser import BytesHeaderParser

from hypothesis import given
from hypothesis import strategies as st

from quarantine.engines.examined import message_of

_names = st.sampled_from([b"From", b"to", b"X-Odd", b"Content-Type", b"Subject"])
_texts = st.binary(max_size=30).map(lambda text: text.translate(None, b"\r\n\x0b\x0c\x1c\x1d\x1e\x85"))
_folds = st.lists(st.tuples(st.sampled_from([b" ", b"\t"]), _texts), max_size=2)
_fields = st.lists(st.tuples(_names, st.sampled_from([b":", b": ", b":\t"]), _texts, _folds), max_size=6)


@given(_fields, st.sampled_from([b"\n", b"\r\n"]))
def test_fields_are_read_as_the_library_reads_them(
    fields: list[tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]]], end: bytes
) -> None:
    lines = [
        name + colon + text + b"".join(end + space + more for space, more in folds)
        for name, colon, text, folds in fields
    ]
    header = end.join(lines) + end if lines else b""
    expected = BytesHeaderParser(policy=policy.compat32).parsebytes(header)
    raw = [(name, value.replace("\r\n", "\n")) for name, value in expected.raw_items()]
    assert list(message_of(header).raw_items()) == raw


@given(st.binary(max_size=200))
def test_no_header_is_too_odd(header: bytes) -> None:
    message = message_of(header)
    assert all(name and name in message for name, _ in message.raw_items())


def test_a_line_that_is_no_field_hides_no_other() -> None:
    assert message_of(b"From: ann@example.org\r\nno field\r\nSubject : odd\r\n")["subject"] == "odd"
