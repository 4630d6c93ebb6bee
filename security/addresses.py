"""IP addresses and networks: one spelling each, and a map from networks to values that is quick to ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Generic, TypeVar

from django.utils.translation import gettext as _

from base.numbers import grouped

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
V = TypeVar("V")

# A network larger than these is most likely a slip, and hits more than the one who is meant.
LARGE_V4, LARGE_V6 = 24, 48


class BadNetwork(ValueError):
    """The text is no IP address or network; the message says what would be."""


def parse_network(text: str) -> Network:
    """`192.0.2.1`, `192.0.2.0/24`, `2001:db8::/48`. An IPv4 address written as IPv6 is that IPv4 address.

    Raises BadNetwork, for host bits too: whether the address or its network was meant is not ours to guess.
    """
    text = text.strip()
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            meant = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise BadNetwork(
                _("%(text)s is not an IP address or network, as in 192.0.2.1, 192.0.2.0/24 or 2001:db8::/48.")
                % {"text": f"{text[:80]!r}"}
            ) from None
        alone = text.partition("/")[0]
        raise BadNetwork(
            _("%(text)s is an address inside a network: write %(meant)s, or %(alone)s alone.")
            % {"text": text, "meant": meant, "alone": alone}
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}")
    return network


@lru_cache(10_000)
def parse_address(text: str) -> Address | None:
    """The address, without a zone and with IPv4 in its own form; None when it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def spell(network: Network) -> str:
    """The one spelling: an address alone has no prefix length."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def spellings_around(address: Address) -> list[str]:
    """Every network that the address is in, as `spell` writes it: what a query looks for."""
    return [
        spell(ipaddress.ip_network(f"{address}/{length}", strict=False)) for length in range(address.max_prefixlen + 1)
    ]


def is_large(network: Network) -> bool:
    """Whether it is more than an administrator usually means to block at once."""
    return network.prefixlen < (LARGE_V4 if network.version == 4 else LARGE_V6)


def warning_about(network: Network) -> str:
    """What to tell whoever lists a large network; "" for one of a usual size."""
    if not is_large(network):
        return ""
    if network.version == 4:
        return _("%(network)s covers %(num_addresses)s addresses, of more than one owner most likely.") % {
            "network": network,
            "num_addresses": grouped(network.num_addresses),
        }
    return _("%(network)s covers %(value)s networks of the size that one customer gets.") % {
        "network": network,
        "value": grouped(2 ** (LARGE_V6 - network.prefixlen)),
    }


class NetworkMap(Generic[V]):
    """Values by network. A look-up costs one dictionary access for each prefix length that occurs at all."""

    def __init__(self, items: Iterable[tuple[Network, V]] = ()) -> None:
        by_length: dict[tuple[int, int], dict[int, V]] = {}
        self._size = 0
        for network, value in items:
            rest = network.max_prefixlen - network.prefixlen
            by_length.setdefault((network.version, rest), {})[int(network.network_address) >> rest] = value
            self._size += 1
        # The longest prefix first: what is said of an address itself is said before what is said of its network.
        self._v4 = _sorted(by_length, 4)
        self._v6 = _sorted(by_length, 6)

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return self._size > 0

    def __contains__(self, address: Address) -> bool:
        """Whether anything is said of the address."""
        number = int(address)
        # A loop, which costs half of what any() over a generator does: a session asks several times.
        for rest, values in self._v4 if address.version == 4 else self._v6:  # noqa: SIM110
            if number >> rest in values:
                return True
        return False

    def values_at(self, address: Address) -> Iterator[V]:
        """What is said of the address, the most specific first."""
        number = int(address)
        for rest, values in self._v4 if address.version == 4 else self._v6:
            found = values.get(number >> rest)
            if found is not None:
                yield found

    def covers(self, network: Network) -> V | None:
        """What is said of the whole network, by itself or by one around it."""
        number = int(network.network_address)
        own = network.max_prefixlen - network.prefixlen
        for rest, values in self._v4 if network.version == 4 else self._v6:
            if rest >= own and (found := values.get(number >> rest)) is not None:
                return found
        return None


def _sorted(by_length: dict[tuple[int, int], dict[int, V]], version: int) -> list[tuple[int, dict[int, V]]]:
    return sorted(
        ((rest, values) for (of, rest), values in by_length.items() if of == version), key=lambda pair: pair[0]
    )
