"""What alerts decide without looking at anything: hysteresis, and which addresses are the Internet's."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.alerts import webhook
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


@given(st.ip_addresses())
def test_no_address_is_public_that_the_internet_does_not_route(address: Any) -> None:
    if webhook.is_public(address):
        assert address.is_global
        assert not address.is_loopback
        mapped = getattr(address, "ipv4_mapped", None)
        assert mapped is None or mapped.is_global


@pytest.mark.parametrize(
    ("address", "expected"), [("93.184.216.34", True), ("2606:4700::1111", True), ("192.168.1.1", False), ("::", False)]
)
def test_addresses_of_the_internet_are_told_from_others(address: str, expected: bool) -> None:
    assert webhook.is_public(ipaddress.ip_address(address)) is expected
