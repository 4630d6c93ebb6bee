"""What alerts decide without looking at anything: hysteresis, and which addresses are the Internet's."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import outgoing_http
from spool.alerts.watching import decide


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 20), st.integers(1, 100))
def test_between_two_alerts_the_value_has_been_below_the_end(values: list[int], threshold: int, percent: int) -> None:
    ends_at = threshold * percent / 100
    is_open, low = False, True
    for value in values:
        change = decide({"x": float(value)} if value else {}, ["x"] if is_open else [], threshold, ends_at)
        if change.begun:
            assert not is_open
            assert low
            assert value >= threshold
        if change.ended:
            assert is_open
            assert value < ends_at
        is_open = bool(change.begun or change.going_on)
        assert is_open or value < threshold
        low = low if is_open else True
        low = False if change.begun else low


INSIDE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
INSIDE_6 = ("::/127", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32")
# IPv6 addresses that stand for an IPv4 one: mapped, 6to4, Teredo (whose client's address is inverted), NAT64.
STANDING_FOR = {
    "mapped": lambda number: 0xFFFF << 32 | number,
    "6to4": lambda number: 0x2002 << 112 | number << 80,
    "Teredo": lambda number: 0x20010000 << 96 | number ^ 0xFFFFFFFF,
    "NAT64": lambda number: 0x64FF9B << 96 | number,
}


@given(st.sampled_from(INSIDE).flatmap(lambda network: st.ip_addresses(network=network)))
def test_an_address_that_the_internet_does_not_route_is_not_public_in_any_form(address: Any) -> None:
    assert not outgoing_http.is_public(address)
    for form in STANDING_FOR.values():
        assert not outgoing_http.is_public(ipaddress.IPv6Address(form(int(address))))


@given(st.sampled_from(INSIDE_6).flatmap(lambda network: st.ip_addresses(network=network)))
def test_an_ipv6_address_that_the_internet_does_not_route_is_not_public(address: Any) -> None:
    assert not outgoing_http.is_public(address)


@pytest.mark.parametrize("form", STANDING_FOR.values(), ids=STANDING_FOR)
def test_an_ipv6_address_that_stands_for_one_of_the_internet_is_public(form: Callable[[int], int]) -> None:
    assert outgoing_http.is_public(ipaddress.IPv6Address(form(int(ipaddress.IPv4Address("93.184.216.34")))))


@pytest.mark.parametrize(
    ("address", "expected"), [("93.184.216.34", True), ("2606:4700::1111", True), ("192.168.1.1", False), ("::", False)]
)
def test_addresses_of_the_internet_are_told_from_others(address: str, expected: bool) -> None:
    assert outgoing_http.is_public(ipaddress.ip_address(address)) is expected
