"""What may stand in MAILSPOOL_BIND and the variables of the ports, and what is said of what may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailspool.environment import listeners as together
from mailspool.environment import reader
from mailspool.environment.reader import WrongEnvironment
from spool.sockets.addresses import plain_ip


def listening(name: str = "smtp", **environment: str) -> list[str]:
    env = reader.read({f"MAILSPOOL_{variable}": value for variable, value in environment.items()})
    return [str(address) for address in together.addresses_of(env)[name]]


@pytest.mark.parametrize(
    ("bind", "places"),
    [
        ("127.0.0.1", ["127.0.0.1:2525"]),
        ("0.0.0.0", ["0.0.0.0:2525"]),
        ("::1", ["[::1]:2525"]),
        ("[::1]", ["[::1]:2525"]),
        ("192.0.2.1, 2001:DB8::1", ["192.0.2.1:2525", "[2001:db8::1]:2525"]),
        ("localhost", ["localhost:2525"]),
        ("*", ["0.0.0.0:2525", "[::]:2525"]),
        ("::", ["0.0.0.0:2525", "[::]:2525"]),
        ("", ["127.0.0.1:2525"]),
        ("0.0.0.0,::", ["0.0.0.0:2525", "[::]:2525"]),
        ("fe80::1%eth0", ["[fe80::1%eth0]:2525"]),
    ],
)
def test_bind_names_addresses_of_either_family_and_every_address_is_both(bind: str, places: list[str]) -> None:
    assert listening(BIND=bind) == places


@pytest.mark.parametrize(
    ("port", "places"),
    [
        ("25", ["127.0.0.1:25", "[::1]:25"]),
        ("25, 2525", ["127.0.0.1:25", "[::1]:25", "127.0.0.1:2525", "[::1]:2525"]),
        ("192.0.2.1:25, [2001:db8::1]:26", ["192.0.2.1:25", "[2001:db8::1]:26"]),
        ("*:25", ["0.0.0.0:25", "[::]:25"]),
        ("[::]:25", ["0.0.0.0:25", "[::]:25"]),
        ("mx.example.org:25", ["mx.example.org:25"]),
        ("0", []),
        ("", ["127.0.0.1:2525", "[::1]:2525"]),
    ],
)
def test_a_listener_has_ports_or_addresses_of_its_own(port: str, places: list[str]) -> None:
    assert listening(BIND="127.0.0.1,::1", SMTP_PORT=port) == places
    assert listening("smtps", BIND="127.0.0.1", SMTP_PORT=port) == ["127.0.0.1:2465"]


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"SMTP_PORT": "abc"}, "MAILSPOOL_SMTP_PORT=abc: a port is a number from 1 to 65535."),
        ({"SMTP_PORT": "70000"}, "a port is a number from 1 to 65535."),
        ({"SMTP_PORT": "25,0"}, "0 alone turns a listener for mail off."),
        ({"SMTP_PORT": "127.0.0.1:0"}, "a port is a number from 1 to 65535."),
        ({"SMTP_PORT": "25,"}, "a port is a number from 1 to 65535."),
        ({"SMTP_PORT": "-1"}, "a port is a number from 1 to 65535."),
        ({"SMTP_PORT": "²"}, "a port is a number from 1 to 65535."),
        ({"SMTP_PORT": "::1:25"}, "an IPv6 address and its port are written as [::1]:25."),
        ({"SMTP_PORT": ":25"}, "every address is *:25."),
        ({"SMTP_PORT": "not a host:25"}, "not a host is not an IP address"),
        ({"BIND": "10.0.0.1/8"}, "MAILSPOOL_BIND=10.0.0.1/8: 10.0.0.1/8 is not an IP address"),
        ({"BIND": "300.1.1.1"}, "300.1.1.1 is not an IP address"),
        ({"BIND": "127.0.0.1:25"}, "127.0.0.1:25 is not an IP address"),
        ({"BIND": "127.0.0.1,"}, "nothing is not an IP address"),
        ({"WEB_PORT": "0"}, "the console can't be turned off"),
        ({"WEB_PORT": "2525"}, "MAILSPOOL_SMTP_PORT and MAILSPOOL_WEB_PORT both want 127.0.0.1:2525"),
        ({"SMTP_PORT": "*:25", "SMTPS_PORT": "[::1]:25"}, "both want [::]:25 and [::1]:25: give each its own."),
        ({"SMTP_PORT": "0.0.0.0:25", "SMTPS_PORT": "mx.example.org:25"}, "both want 0.0.0.0:25 and mx.example.org:25"),
    ],
)
def test_what_is_no_address_is_said_in_a_sentence_with_its_variable(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(WrongEnvironment) as wrong:
        listening(**environment)
    assert sentence in str(wrong.value)


def test_the_same_port_may_be_had_on_different_addresses_by_different_listeners() -> None:
    assert listening(SMTP_PORT="192.0.2.1:25", SUBMISSION_PORT="192.0.2.2:25", SMTPS_PORT="[::]:26") == ["192.0.2.1:25"]


@given(st.text(), st.text())
def test_any_text_is_either_addresses_or_a_sentence(bind: str, port: str) -> None:
    try:
        listening(BIND=bind, SMTP_PORT=port)
    except WrongEnvironment as wrong:
        assert all(sentence.startswith("MAILSPOOL_") for sentence in wrong.sentences)


@pytest.mark.parametrize(
    ("seen", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
    ],
)
def test_a_client_is_shown_by_its_plain_address(seen: str, plain: str) -> None:
    assert plain_ip(seen) == plain
