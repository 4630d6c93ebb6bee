"""The spelling of addresses, whatever text comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.addresses import (
    LONGEST_DOMAIN,
    LONGEST_PATH,
    InvalidAddress,
    key_of,
    normalise_address,
    normalise_domain,
    other_key,
    split_address,
)

local_parts = st.from_regex(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-zA-Z0-9_-]{1,20})?", fullmatch=True)
domains = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,10}){1,3}", fullmatch=True)
# What somebody might try: structure with noise in it.
nearly = st.text(alphabet=st.sampled_from('aZ0@.+-_"\\ <>[]:,;()\r\n\0éßИ。\ud800'), max_size=40)


@given(local_parts, domains)
def test_an_ordinary_address_is_taken_and_its_case_does_not_matter(local_part: str, domain: str) -> None:
    address = normalise_address(f"{local_part}@{domain}")
    assert address == f"{local_part.lower()}@{domain}"
    assert normalise_address(f"{local_part}@{domain.upper()}") == address
    assert normalise_address(address) == address
    assert split_address(f"{local_part}@{domain}") == (local_part, domain)


@given(st.one_of(st.text(), nearly))
def test_any_text_is_an_address_or_refused_with_a_sentence(text: str) -> None:
    try:
        address = normalise_address(text)
    except InvalidAddress as error:
        assert str(error)
        return
    local_part, _, domain = address.rpartition("@")
    assert len(local_part) + len(domain) < LONGEST_PATH
    assert 0 < len(domain) <= LONGEST_DOMAIN and domain.isascii()
    # Nothing that could break a command or a header line.
    assert not set(address) & set("\r\n\0")
    assert normalise_address(address) == address


@given(st.one_of(st.text(), nearly))
def test_any_text_is_a_domain_or_refused_with_a_sentence(text: str) -> None:
    try:
        name = normalise_domain(text)
    except InvalidAddress as error:
        assert str(error)
    else:
        assert name.isascii() and normalise_domain(name) == name


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Ann@Example.ORG.", "ann@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ('"ann smith"@example.org', '"ann smith"@example.org'),
        ("ann@[127.0.0.1]", "ann@[127.0.0.1]"),
        ("ann@[IPv6:::1]", "ann@[ipv6:::1]"),
        ("ann@[IPv6:2001:DB8:0::1]", "ann@[ipv6:2001:db8::1]"),
        (" ann@example.org ", "ann@example.org"),
        # What another mailbox must not get: IDNA 2003 made "fass" of it.
        ("user@faß.test", "user@xn--fa-hia.test"),
        ("user@ΒΌΛΟΣ.test", "user@xn--nxasmq6b.test"),
        ("user@bücher。test", "user@xn--bcher-kva.test"),
        (f"{'x' * 68}-bounces@example.org", f"{'x' * 68}-bounces@example.org"),
    ],
)
def test_spellings(written: str, normal: str) -> None:
    assert normalise_address(written) == normal


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("dan@example.org", None),
        ("", None),
        ("Dan@example.org", "dan@example.org"),
        ("dan@EXAMPLE.org.", "dan@example.org"),
        ('"dan"@example.org', "dan@example.org"),
        ('"d\\an"@example.org', "dan@example.org"),
        ('"dan smith"@example.org', None),
        ('"dan\\ smith"@example.org', '"dan smith"@example.org'),
        ("Ännchen@Bücher.example", "ännchen@xn--bcher-kva.example"),
        ("A\u0308nnchen@example.org", "ännchen@example.org"),
        ("dan@[IPv6:2001:DB8:0::1]", "dan@[ipv6:2001:db8::1]"),
        ("dan+Sale@example.org", "dan+sale@example.org"),
        ("MAILER-DAEMON", "mailer-daemon"),
    ],
)
def test_an_address_has_one_key_however_it_is_written(written: str, key: str | None) -> None:
    assert other_key(written) == key


@given(st.one_of(st.text(), nearly))
def test_any_text_has_a_key_which_is_its_own(text: str) -> None:
    key = key_of(text)
    assert key_of(key) == key
    try:
        address = normalise_address(text)
    except InvalidAddress:
        return
    assert key_of(address) == key_of(text.strip())


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "a b@example.org",
        "a..b@example.org",
        ".a@example.org",
        "a@b@example.org",
        "ann@-example.org",
        "ann@example..org",
        "ann@" + "x" * 64 + ".org",
        "x" * 320 + "@example.org",
        '"ann@example.org',
        "ann@exa mple.org",
        "ann@[nonsense!]",
        "ann@[999.1.1.1]",
        "ann@[1.2.3]",
        "ann@[IPv6:1.2.3.4]",
        "ann@[::1]",
        "ann@[",
        "u@☃.test",
        "ann\r\n@example.org",
        "ann@example.org\r\nRCPT",
    ],
)
def test_no_addresses(written: str) -> None:
    with pytest.raises(InvalidAddress):
        normalise_address(written)
