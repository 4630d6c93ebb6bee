"""How the world finds this server: the DNS. Other servers judge by it whose mail they take."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dns.exception
import dns.resolver
import dns.reversename
from django.conf import settings

from accounts.models import Domain
from base.facts import Fact, FactError, fact
from mailspool.inspection.findings import Finding, ok, warning
from quarantine.engines.resolver import blocking_resolver

PATIENCE_SECONDS = 4.0
MOST_DOMAINS = 100
_AT_ONCE = 8


class NoAnswer(FactError):
    """The DNS says nothing, which is not the same as that there is nothing."""


def host_name() -> Iterator[Finding]:
    """Whether the host's name has an address, and the address that name."""
    name = settings.MAILSPOOL_HOSTNAME
    if "." not in name or name.startswith("["):
        yield warning(
            "dns", fact("%(name)s is no full host name: set MAILSPOOL_HOSTNAME, as mail.example.org.", name=name)
        )
        return
    try:
        addresses = _addresses(name)
        if not addresses:
            yield warning(
                "dns",
                fact("%(name)s has no address in the DNS: many servers refuse its mail. Add A and AAAA.", name=name),
            )
        for address in addresses:
            names = _ask(dns.reversename.from_address(address).to_text(), "PTR")
            if name.lower().rstrip(".") in names:
                yield ok("dns", fact("%(name)s is %(address)s, and the reverse.", name=name, address=address))
            else:
                yield warning("dns", _called_otherwise(address, names, name))
    except NoAnswer as error:
        yield warning("dns", error.fact)


def _called_otherwise(address: str, names: list[str], name: str) -> Fact:
    if not names:
        return fact(
            "%(address)s has no name: its provider sets the PTR record, to %(name)s.", address=address, name=name
        )
    return fact(
        "%(address)s is called %(called)s and not %(name)s: its provider sets the PTR record.",
        address=address,
        called=names,
        name=name,
    )


def local_domains() -> Iterator[Finding]:
    """Whether mail for the local domains is sent here."""
    domains = list(Domain.objects.order_by("name").values_list("name", flat=True)[: MOST_DOMAINS + 1])
    try:
        ours = {settings.MAILSPOOL_HOSTNAME.lower(), *_addresses(settings.MAILSPOOL_HOSTNAME)}
    except NoAnswer:
        # It was said of the host's name.
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda domain: _mail_of(domain, ours), domains[:MOST_DOMAINS])
    if len(domains) > MOST_DOMAINS:
        yield ok("dns", fact("Of the local domains the first %(count)s were looked up.", count=MOST_DOMAINS))


def sender_policies() -> Iterator[Finding]:
    """Whether the local domains say who sends their mail (SPF, RFC 7208 3.1): other servers ask."""
    domains = list(Domain.objects.order_by("name").values_list("name", flat=True)[:MOST_DOMAINS])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(_policy_of, domains)


def _policy_of(domain: str) -> Finding:
    try:
        # A record is one or more strings in quotes, put together without a space.
        texts = [record.strip('"').replace('" "', "") for record in _ask(domain, "TXT")]
    except NoAnswer as error:
        return warning("dns", error.fact)
    policies = [text for text in texts if text == "v=spf1" or text.startswith("v=spf1 ")]
    if len(policies) == 1:
        return ok("dns", fact("%(domain)s has an SPF record.", domain=domain))
    if policies:
        return warning(
            "dns",
            fact("%(domain)s has %(count)s SPF records: none counts. Keep one.", domain=domain, count=len(policies)),
        )
    return warning(
        "dns",
        fact(
            '%(domain)s has no SPF record: add TXT "v=spf1 mx -all", if this server alone sends its mail.',
            domain=domain,
        ),
    )


def _mail_of(domain: str, ours: set[str]) -> Finding:
    try:
        hosts = [record.split()[-1] for record in _ask(domain, "MX")] or [domain]
        if any(host in ours or ours & set(_addresses(host)) for host in hosts):
            return ok("dns", fact("Mail for %(domain)s comes here.", domain=domain))
    except NoAnswer as error:
        return warning("dns", error.fact)
    return warning(
        "dns",
        fact(
            "Mail for %(domain)s goes to %(hosts)s and not here: its MX must name %(name)s.",
            domain=domain,
            hosts=hosts,
            name=settings.MAILSPOOL_HOSTNAME,
        ),
    )


def _addresses(name: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(name.strip("[]")))]
    except ValueError:
        return [*_ask(name, "A"), *_ask(name, "AAAA")]


def _ask(name: str, kind: str) -> list[str]:
    """The records as text. Raises NoAnswer."""
    try:
        answer = blocking_resolver().resolve(name, kind, search=False, lifetime=PATIENCE_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise NoAnswer(
            fact(
                "The DNS gives no answer for %(name)s (%(kind)s): %(error)s.",
                name=name,
                kind=kind,
                error=type(error).__name__,
            )
        ) from error
    return [record.to_text().rstrip(".").lower() for record in answer]
