"""Addresses to listen on, as MAILSPOOL_BIND and the variables of the ports name them. Pure: nothing is opened here.

"Every address" is two, 0.0.0.0 and ::, each with a socket of its own: clients by IPv4 are then seen as such.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

EVERY_IPV4, EVERY_IPV6 = "0.0.0.0", "::"  # noqa: S104
# What means every address, of both families.
_EVERY = ("*", EVERY_IPV6)
_LOOPBACK = {EVERY_IPV4: "127.0.0.1", EVERY_IPV6: "::1"}
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?")
_HIGHEST_PORT = 65535
T = TypeVar("T")


class WrongAddress(ValueError):
    """A value of the environment that names no address: the end of a sentence, without its full stop."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: `host` is an IP address or a name, `port` 1 to 65535."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.in_url}:{self.port}"

    @property
    def in_url(self) -> str:
        """The host as a URL has it, with an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def reachable(self) -> Address:
        """Where to reach what listens here: "every address" is no address to connect to."""
        return Address(_LOOPBACK.get(self.host, self.host), self.port)

    def overlaps(self, other: Address) -> bool:
        """Whether one program alone can have both."""
        if self.port != other.port:
            return False
        return self.host == other.host or self._covers(other) or other._covers(self)

    def _covers(self, other: Address) -> bool:
        if self.host not in (EVERY_IPV4, EVERY_IPV6):
            return False
        try:
            version = ipaddress.ip_address(other.host).version
        except ValueError:
            # What a name stands for is not known here.
            return True
        return version == ipaddress.ip_address(self.host).version


@dataclass(frozen=True, slots=True)
class Place:
    """One port of a listener; without `hosts` on those of MAILSPOOL_BIND."""

    port: int
    hosts: tuple[str, ...] = ()


def hosts(text: str) -> tuple[str, ...]:
    """The hosts that MAILSPOOL_BIND names, with commas between them; `*` and `::` mean all. Raises WrongAddress."""
    return _unique(host for part in text.split(",") for host in _hosts(part.strip()))


def places(text: str) -> tuple[Place, ...]:
    """Where one listener listens: ports and HOST:PORT, with commas between them; nowhere for 0. Raises WrongAddress."""
    if text == "0":
        return ()
    return _unique(_place(part.strip()) for part in text.split(","))


def addresses(some: Iterable[Place], bind: Iterable[str]) -> tuple[Address, ...]:
    """The addresses of places; `bind` are the hosts for those that name none."""
    return _unique(Address(host, place.port) for place in some for host in place.hosts or bind)


def check_apart(wanted: Mapping[str, Iterable[Address]]) -> None:
    """Raise WrongAddress when two listeners want the same address; they stand by the names of their variables."""
    for (variable, some), (other_variable, others) in combinations(wanted.items(), 2):
        for address in some:
            for other in others:
                if address.overlaps(other):
                    both = str(address) if address == other else f"{address} and {other}"
                    raise WrongAddress(f"{variable} and {other_variable} both want {both}: give each its own")


def plain_ip(text: str) -> str:
    """A client's IP address as lists, logs and limits have it: without the interface, IPv4 as IPv4.

    A socket of both families, as systemd may hand over, shows clients by IPv4 as ::ffff:192.0.2.1.
    """
    return text.partition("%")[0].removeprefix("::ffff:") if ":" in text else text


def counted_as(ip: str) -> str:
    """What an address counts as where there are limits by address: IPv6 by /64, which one customer has."""
    if ":" not in ip:
        return ip
    try:
        return f"{ipaddress.IPv6Address(int(ipaddress.IPv6Address(ip)) >> 64 << 64)}/64"
    except ValueError:
        return ip


def _place(part: str) -> Place:
    host, separator, port_text = part.rpartition(":")
    port = _port(port_text)
    if not separator:
        return Place(port)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise WrongAddress(f"an IPv6 address and its port are written as [{host}]:{port_text}")
    if not host:
        raise WrongAddress(f"there is no address before the colon; every address is *:{port_text}")
    return Place(port, _hosts(host))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= _HIGHEST_PORT):
        raise WrongAddress(
            f"a port is a number from 1 to {_HIGHEST_PORT}. Give ports, or addresses with ports as 127.0.0.1:2525 and "
            "[::1]:2525, with commas between them; 0 alone turns a listener for mail off"
        )
    return int(text)


def _hosts(text: str) -> tuple[str, ...]:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if bare in _EVERY:
        return EVERY_IPV4, EVERY_IPV6
    try:
        return (str(ipaddress.ip_address(bare)),)
    except ValueError:
        pass
    # All digits and dots: meant to be an IPv4 address.
    if not _NAME.fullmatch(bare) or bare.replace(".", "").isdecimal():
        raise WrongAddress(
            f"{text or 'nothing'} is not an IP address, as 192.0.2.1 and 2001:db8::1 are, nor a name of this machine, "
            "nor * for every address"
        )
    return (bare,)


def _unique(some: Iterator[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(some))
