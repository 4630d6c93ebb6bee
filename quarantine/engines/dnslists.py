"""DNS lists: of IP addresses (RFC 5782), block lists and allow lists alike, and of domains that links lead to."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from functools import cache
from typing import Final

from publicsuffixlist import PublicSuffixList

from quarantine.engines.answers import EngineFailed
from quarantine.engines.examined import Examined
from quarantine.engines.resolver import ask
from quarantine.engines.texts import read
from quarantine.models.check import parse_answers

MOST_DOMAINS: Final = 20
_HOST: Final = re.compile(r"(?i)\bhttps?://(?:[^/@\s\"'<>]{0,200}@)?([a-z0-9.-]{1,253})")
# How lists say that they were asked in the wrong way, or too often: no address is listed by it.
REFUSALS: Final = ipaddress.ip_network("127.255.255.0/24")
LISTED: Final = ipaddress.ip_network("127.0.0.0/8")


@cache
def suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def organisational(domain: str) -> str:
    """The domain that somebody has registered: `example.co.uk` of `mail.example.co.uk`."""
    return suffixes().privatesuffix(domain.lower().rstrip(".")) or domain.lower()


async def listed_ip(examined: Examined, zone: str, answers: str, seconds: float) -> str:
    """The answers of a list about the client's address that count, or "". Raises EngineFailed."""
    if not can_be_listed(examined.client_ip):
        return ""
    ip = ipaddress.ip_address(examined.client_ip)
    name = f"{ip.reverse_pointer.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"
    return _counting(await ask(name, "A", seconds), answers, zone)


def can_be_listed(client_ip: str) -> bool:
    """Whether it is an address of the Internet, which lists know something about."""
    try:
        ip = ipaddress.ip_address(client_ip)
    except ValueError:
        return False
    return not ip.is_loopback and (not ip.is_private or _is_documented(ip))


async def listed_domains(examined: Examined, zone: str, answers: str, seconds: float) -> str:
    """The domains in a message's links that a list has, or "". Raises EngineFailed when it answers about none."""
    domains = domains_in((await read(examined)).text, MOST_DOMAINS + 1)
    examined.tell("links", len(domains))
    domains = domains[:MOST_DOMAINS]
    if not domains:
        return ""
    found = await asyncio.gather(*(ask(f"{d}.{zone}", "A", seconds) for d in domains), return_exceptions=True)
    failures = [one for one in found if isinstance(one, BaseException)]
    if len(failures) == len(domains):
        raise failures[0]
    listed = [
        domain
        for domain, one in zip(domains, found, strict=True)
        if not isinstance(one, BaseException) and _counting(one, answers, zone)
    ]
    return ", ".join(listed)


def domains_in(text: str, most: int = MOST_DOMAINS) -> list[str]:
    """The organisational domains of the first links in a text."""
    if "://" not in text:
        return []
    found: dict[str, None] = {}
    for host in _HOST.findall(text):
        domain = organisational(host.strip(".")) if "." in host.strip(".") else ""
        if domain and not domain.replace(".", "").isdigit():
            found[domain] = None
        if len(found) >= most:
            break
    return list(found)


def _counting(records: list[str], answers: str, zone: str) -> str:
    """Those of a list's answers that mean "listed". Raises EngineFailed when it refuses to be asked."""
    wanted = parse_answers(answers)
    counting = []
    for text in records:
        address = ipaddress.IPv4Address(text)
        if address in REFUSALS:
            raise EngineFailed(f"{zone} refuses to be asked ({text})")
        if address not in LISTED:
            # Somebody answers for names that do not exist.
            continue
        if not wanted or any(lowest <= int(address) <= highest for lowest, highest in wanted):
            counting.append(text)
    return ", ".join(counting)


def _is_documented(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """An address for examples (RFC 5737, RFC 3849), which Python counts among the private ones."""
    networks = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
    return any(ip in ipaddress.ip_network(network) for network in networks)
