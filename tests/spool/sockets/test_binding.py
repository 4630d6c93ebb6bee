"""Sockets that really listen."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spool.sockets.addresses import Address
from spool.sockets.binding import CannotListen, open_sockets, shown
from spool.sockets.listeners import SMTP
from tests.support.ports import free_port

PROJECT = Path(__file__).resolve().parents[3]


@contextmanager
def listening(*places: Address, shared: bool = False) -> Iterator[list[socket.socket]]:
    opened = open_sockets(places, SMTP, shared=shared)
    try:
        yield opened
    finally:
        for one in opened:
            one.close()


def _source(host: str, port: int, listener: socket.socket) -> str:
    """The address that a connection from `host` comes from, as the listener sees it."""
    listener.setblocking(True)
    with socket.create_connection((host, port), timeout=5), listener.accept()[0] as accepted:
        return str(accepted.getpeername()[0])


def test_every_address_takes_clients_of_both_families_and_sees_each_as_what_it_is() -> None:
    port = free_port()
    with listening(Address("0.0.0.0", port), Address("::", port)) as (by_ipv4, by_ipv6):
        assert _source("127.0.0.1", port, by_ipv4) == "127.0.0.1"
        assert _source("::1", port, by_ipv6) == "::1"


def test_a_name_is_listened_on_at_each_of_its_addresses() -> None:
    port = free_port()
    with listening(Address("localhost", port)) as opened:
        assert f"127.0.0.1:{port}" in [shown(one) for one in opened]


_WITHOUT_IPV6 = """
import ctypes, errno, platform, struct, sys
# seccomp(2): socket(AF_INET6, …) fails as it does where the kernel has no IPv6.
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
steps = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 10),
    (0x06, 0, 0, 0x50000 | errno.EAFNOSUPPORT), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
filters = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filters, 0, 0) == 0, ctypes.get_errno()
from spool.sockets.addresses import Address
from spool.sockets.binding import open_sockets, shown
from spool.sockets.listeners import SMTP
for host in sys.argv[2:]:
    places = [Address(part, int(sys.argv[1])) for part in host.split(",")]
    try:
        opened = open_sockets(places, SMTP, shared=True)
        print(*map(shown, opened))
    except OSError as error:
        print(error)
"""


def test_a_machine_without_ipv6_listens_on_every_address_that_it_has() -> None:
    port = free_port()
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_IPV6, str(port), "0.0.0.0,::", "localhost", "::1"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        f"0.0.0.0:{port}",
        f"127.0.0.1:{port}",
        "This machine has no address ::1. Set MAILSPOOL_BIND or MAILSPOOL_SMTP_PORT to one that it has.",
    ]


def test_a_port_in_use_is_said_in_a_sentence_and_nothing_stays_open() -> None:
    port, other = free_port(), free_port()
    with listening(Address("127.0.0.1", port)):
        with pytest.raises(CannotListen, match=f"Port {port} on 127.0.0.1, for SMTP, is used by another program"):
            open_sockets([Address("127.0.0.1", other), Address("127.0.0.1", port)], SMTP, shared=True)
        with listening(Address("127.0.0.1", other)):
            pass


def test_an_address_of_another_machine_and_a_name_of_none_are_said_in_a_sentence() -> None:
    with (
        pytest.raises(CannotListen, match=r"This machine has no address 192\.0\.2\.1"),
        listening(Address("192.0.2.1", free_port())),
    ):
        pass
    with (
        pytest.raises(CannotListen, match=r"nowhere\.invalid is not an address to listen on"),
        listening(Address("nowhere.invalid", free_port())),
    ):
        pass
