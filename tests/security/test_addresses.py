"""Networks: their spelling, and the map that is asked for each connection."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.addresses import BadNetwork, NetworkMap, parse_address, parse_network, spell, warning_about


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1/32 ", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ],
)
def test_a_network_has_one_spelling(text: str, spelled: str) -> None:
    assert spell(parse_network(text)) == spelled


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not an IP address or network"),
        ("mail.example.org", "is not an IP address or network"),
        ("192.0.2.1-192.0.2.9", "is not an IP address or network"),
        ("192.0.2.0/33", "is not an IP address or network"),
        ("192.0.2.7/24", "write 192.0.2.0/24, or 192.0.2.7 alone"),
        ("2001:db8::7/64", "write 2001:db8::/64, or 2001:db8::7 alone"),
        ("x" * 10_000, "is not an IP address or network"),
    ],
)
def test_what_is_no_network_is_answered_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadNetwork, match=sentence):
        parse_network(text)


@pytest.mark.parametrize(
    ("text", "is_warned"),
    [
        ("192.0.2.1", False),
        ("192.0.2.0/24", False),
        ("192.0.2.0/23", True),
        ("2001:db8::/48", False),
        ("2001:db8::/47", True),
    ],
)
def test_networks_above_24_and_48_are_warned_of(text: str, is_warned: bool) -> None:
    assert bool(warning_about(parse_network(text))) is is_warned


def test_what_is_said_of_an_address_comes_before_what_is_said_of_its_network() -> None:
    networks = NetworkMap([(parse_network(text), text) for text in ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "::/1")])
    found = parse_address("10.1.2.3")
    assert found is not None
    assert list(networks.values_at(found)) == ["10.1.2.3", "10.1.0.0/16", "10.0.0.0/8"]
    assert networks.covers(parse_network("10.1.0.0/17")) == "10.1.0.0/16"
    assert networks.covers(parse_network("0.0.0.0/4")) is None


_V4 = st.tuples(st.ip_addresses(v=4), st.integers(0, 32))
_V6 = st.tuples(st.ip_addresses(v=6), st.integers(0, 128))


@given(st.lists(st.one_of(_V4, _V6), max_size=20), st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_the_map_answers_as_looking_at_each_network_would(pairs: list, address: ipaddress.IPv4Address) -> None:
    networks = [ipaddress.ip_network(f"{of}/{length}", strict=False) for of, length in pairs]
    asked = NetworkMap([(network, network) for network in networks])
    found = set(asked.values_at(address))
    assert (address in asked) is bool(found)
    assert found == {network for network in networks if network.version == address.version and address in network}


def test_the_zone_of_a_link_local_address_and_ipv4_as_ipv6_are_understood() -> None:
    assert str(parse_address("fe80::1%eth0")) == "fe80::1"
    assert str(parse_address("::ffff:192.0.2.1")) == "192.0.2.1"
    assert parse_address("") is None


@given(st.text())
def test_any_text_is_a_network_or_refused(text: str) -> None:
    try:
        network = parse_network(text)
    except BadNetwork as error:
        assert str(error)
    else:
        assert parse_network(spell(network)) == network


@given(st.one_of(_V4, _V6))
def test_a_written_network_is_read_back(pair: tuple) -> None:
    network = ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False)
    spelled = spell(parse_network(str(network)))
    assert parse_network(spelled) in (network, parse_network(str(network)))
    assert spell(parse_network(spelled)) == spelled
