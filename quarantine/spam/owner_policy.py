"""What the owner of a message's domain asks to do with it, as its DMARC policy says (RFC 9989), where we follow that.

It is a wish of strangers about mail in their name: whether it is followed, and for whom not, an administrator decides.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from accounts.addresses import enclosing
from quarantine.models.antispam import AntispamSettings, FollowDMARC
from quarantine.spam.score import Findings

_FAILED: Final = re.compile(r"dmarc=(?:fail|permerror) header\.from=(\S+) policy\.dmarc=(quarantine|reject)")

NO_DOMAIN: Final = "none"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for mail in the name of `domain` that is not proven to be its own."""

    domain: str
    is_reject: bool

    @property
    def why(self) -> str:
        """In words for people."""
        if self.domain == NO_DOMAIN:
            return "From shows more domains than DMARC can judge"
        asked = "refuse" if self.is_reject else "quarantine"
        return f"DMARC fails for {self.domain}, whose owner asks to {asked} such mail"


def wish_in(findings: Findings, client_ip: str, settings: AntispamSettings) -> Wish | None:
    """What is to be followed for a message; None when nothing is."""
    if settings.follow_dmarc == FollowDMARC.NO:
        return None
    found = next((found for one in findings.authenticated if (found := _FAILED.fullmatch(one))), None)
    if found is None or _is_exempt(found[1], client_ip, settings.dmarc_exceptions):
        return None
    return Wish(found[1], found[2] == "reject")


def _is_exempt(domain: str, client_ip: str, exceptions: str) -> bool:
    """Whether one of the exceptions is about the domain, or one that it is in, or the client that forwards."""
    domains, networks = _read(exceptions)
    if any(name in domains for name in enclosing(domain)):
        return True
    try:
        ip = ipaddress.ip_address(client_ip)
    except ValueError:
        return False
    return any(ip in network for network in networks if network.version == ip.version)


@lru_cache(4)
def _read(exceptions: str) -> tuple[frozenset[str], tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]]:
    domains, networks = set(), []
    for line in exceptions.split():
        try:
            networks.append(ipaddress.ip_network(line))
        except ValueError:
            domains.add(line)
    return frozenset(domains), tuple(networks)
