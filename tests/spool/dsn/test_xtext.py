"""The DSN parameters of MAIL and RCPT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.dsn import xtext


@given(st.text(st.characters(max_codepoint=127)))
def test_xtext_brings_back_what_it_encoded(text: str) -> None:
    encoded = xtext.encode(text)
    assert xtext.decode(encoded) == text
    assert not set(encoded) & set(" =\r\n\0")


@given(st.text())
def test_decoding_refuses_or_answers_whatever_it_is_given(text: str) -> None:
    for parse in (xtext.decode, xtext.decode_utf8, xtext.parse_orcpt, xtext.parse_envid, xtext.parse_notify):
        try:
            parse(text)
        except xtext.InvalidParameter as error:
            assert str(error)


@pytest.mark.parametrize("text", ["a b", "a=b", "+", "+4", "+G1", "ä", "a\x7f"])
def test_text_that_is_not_xtext_is_refused(text: str) -> None:
    with pytest.raises(xtext.InvalidParameter):
        xtext.decode(text)


def test_xtext_refuses_what_is_not_ascii() -> None:
    with pytest.raises(xtext.InvalidParameter):
        xtext.encode("ä")


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_addresses_beyond_ascii_come_back_from_their_ascii_form(address: str) -> None:
    encoded = xtext.encode_utf8(address)
    assert encoded.isascii()
    assert xtext.decode_utf8(encoded) == address


@pytest.mark.parametrize("text", ["", "a+b", "a=b", "a\\b", r"\x{}", r"\x{110000}", r"\x{D800}", r"\x{0A}", "a b"])
def test_text_that_is_no_utf8_address_is_refused(text: str) -> None:
    with pytest.raises(xtext.InvalidParameter):
        xtext.decode_utf8(text)


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("never", "NEVER"),
        ("FAILURE", "FAILURE"),
        ("delay,success", "SUCCESS,DELAY"),
        ("Failure,FAILURE", "FAILURE"),
        ("SUCCESS,FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"),
    ],
)
def test_notify_gets_one_spelling(value: str, canonical: str) -> None:
    assert xtext.parse_notify(value) == canonical


@pytest.mark.parametrize("value", ["", "NEVER,FAILURE", "FAILURE,", "ALWAYS", "FAILURE DELAY", "FAILURE;DELAY"])
def test_notify_refuses_what_rfc_3461_does_not_have(value: str) -> None:
    with pytest.raises(xtext.InvalidParameter, match="NOTIFY"):
        xtext.parse_notify(value)


def test_ret_is_full_or_hdrs() -> None:
    assert [xtext.parse_ret(value) for value in ("full", "HDRS")] == ["FULL", "HDRS"]
    with pytest.raises(xtext.InvalidParameter, match="FULL or HDRS"):
        xtext.parse_ret("BODY")


@pytest.mark.parametrize("value", ["QQ314159", "a+20b+3Dc", "x" * 100])
def test_envid_is_kept_as_given(value: str) -> None:
    assert xtext.parse_envid(value) == value


@pytest.mark.parametrize("value", ["", "x" * 101, "a b", "a+0D+0A", "a+FF"])
def test_envid_refuses_what_a_report_could_not_repeat(value: str) -> None:
    with pytest.raises(xtext.InvalidParameter):
        xtext.parse_envid(value)


@pytest.mark.parametrize(
    "value",
    ["rfc822;bob+2Btag@example.net", "RFC822;Bob@Example.net", r"utf-8;b\x{FC}b@example.net", "utf-8;büb@example.net"],
)
def test_orcpt_is_kept_as_given(value: str) -> None:
    assert xtext.parse_orcpt(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "rfc822",
        "rfc822;",
        ";bob@example.net",
        "rfc822;bob@example.net+0D+0AX-Evil:+201",
        "rfc822;büb@example.net",
        "a b;c",
        "rfc822;" + "x" * 500,
        "utf-8;a+2Bb@example.net",
    ],
)
def test_orcpt_refuses_what_is_no_typed_address(value: str) -> None:
    with pytest.raises(xtext.InvalidParameter):
        xtext.parse_orcpt(value)


def test_the_original_recipient_is_decoded() -> None:
    assert xtext.original_recipient("RFC822;bob+2Btag@example.net") == ("rfc822", "bob+tag@example.net")
    assert xtext.original_recipient(r"utf-8;b\x{FC}b@example.net") == ("utf-8", "büb@example.net")
