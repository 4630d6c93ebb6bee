"""Whatever a sender writes, an event stays one line that every reader of the format reads alike."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spool.events import line
from tests.support.mail_log import parse

# Lone surrogates stand for bytes that were no UTF-8.
HOSTILE = st.text(st.characters(codec=None, categories=None), max_size=400) | st.sampled_from(
    [
        "\x1b[2J",
        "a\r\nid=x event=ended",
        "\u202egnp.exe",
        "\u2028",
        "\u0085",
        "\x00",
        "\x7f",
        "\udcff",
        '"',
        "\\",
        "a=b",
    ]
)
FIELDS = st.dictionaries(st.sampled_from(["from", "to", "reply", "msgid", "ehlo", "why"]), HOSTILE)


def _is_harmless(text: str) -> bool:
    return all(
        c == " " or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs") for c in text
    )


@given(FIELDS)
@example({"from": "\U000e0001" * 320, "to": "\U0001f600" * 320, "reply": "\x01" * 300, "msgid": "\\" * 255})
def test_a_line_of_text_is_one_harmless_line_that_can_be_read_back(fields: dict[str, str]) -> None:
    text = line.as_text({"id": "0", "event": "refused", **fields})
    assert _is_harmless(text)
    assert len(text.encode()) <= line.LONGEST_LINE_BYTES
    found = parse(text)
    assert list(found)[:2] == ["id", "event"]
    for name, value in fields.items():
        whole = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
        shown = found.get(name, "")
        assert shown == whole or (shown.endswith(line.MARK) and whole.startswith(shown[:-1]))


@given(FIELDS)
@example({"reply": "\u20ac" * 300, "msgid": "\U0001f600" * 255, "from": "\x01" * 320, "to": "\x7f" * 320})
def test_a_line_of_json_is_one_line_of_ascii_with_the_same_in_it(fields: dict[str, str]) -> None:
    text = line.as_json({"id": "0", "event": "refused", **fields})
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= line.LONGEST_LINE_BYTES
    found = json.loads(text)
    for name, value in fields.items():
        whole = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
        shown = found.get(name, "")
        assert shown == whole or (shown.endswith(line.MARK) and whole.startswith(shown[:-1]))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("ann@example.org", "ann@example.org"),
        ("<a+b@c>", "<a+b@c>"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("jürgen", '"jürgen"'),
        ("line\nbreak", r'"line\nbreak"'),
        ("\x1b[31mred", r'"\u001b[31mred"'),
        ("next\u0085line", r'"next\u0085line"'),
        ("\u202etxt.exe", r'"\u202etxt.exe"'),
        ("\U000e0041", r'"\udb40\udc41"'),
        ("byte\udcff", '"byte\ufffd"'),
    ],
)
def test_values_are_bare_words_or_strings_of_json(value: str, shown: str) -> None:
    assert line.as_text({"why": value}) == f"why={shown}"


def test_what_is_empty_is_left_out_and_numbers_are_short() -> None:
    fields: dict[str, line.Value] = {"login": "", "size": 0, "delay": 1.23456}
    assert line.as_text(fields) == "size=0 delay=1.23"
    assert json.loads(line.as_json(fields)) == {"size": 0, "delay": 1.23}


def test_a_value_that_is_too_long_is_cut_where_a_mark_says_so() -> None:
    assert line.as_text({"msgid": "x" * 256}) == f'msgid="{"x" * 254}…"'
    assert line.as_text({"reply": "x" * 300}) == f"reply={'x' * 300}"
