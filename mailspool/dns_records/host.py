"""This server as others see it: its name, and the addresses that its mail comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from django.conf import settings as django_settings

from base.facts import NOTHING, Fact
from base.name_servers import NoAnswer
from mailspool.dns_records.asking import addresses_of
from quarantine.engines.dnslists import can_be_listed
from spool.delivery import sources
from spool.delivery.shaping import rules
from spool.models.route import Route
from spool.models.settings import current


@dataclass(frozen=True, slots=True)
class Host:
    """`addresses` are those of its name; `sending` those from which mail goes out to the world, as far as known."""

    name: str
    addresses: tuple[str, ...] = ()
    sending: tuple[str, ...] = ()
    # What source addresses call themselves, where that is another name than the host's.
    names: Mapping[str, str] = field(default_factory=dict)
    # Why the DNS did not say which addresses there are.
    no_answer: Fact = NOTHING

    def called(self, address: str) -> str:
        """What it greets others as from there."""
        return self.names.get(address, self.name)

    @property
    def is_named(self) -> bool:
        """Whether it has a name that the DNS can know."""
        return "." in self.name and not self.name.startswith("[")


def this_host() -> Host:
    """As the DNS and the settings have it. Asks the resolver."""
    name = django_settings.MAILSPOOL_HOSTNAME.lower().rstrip(".")
    host = Host(name)
    if not host.is_named:
        return host
    try:
        addresses = addresses_of(name)
    except NoAnswer as error:
        return Host(name, no_answer=error.fact)
    # Others see none that is translated to another on the way.
    routes = Route.objects.values_list("source_address", flat=True)
    of_rules = (source for rule in rules.cached().rules for source in rule.sources)
    own = sources.cached()
    # Where source addresses of a kind are configured, nothing else of that kind is usual.
    kinds = {source.is_ipv6 for source in own.all}
    usual = [address for address in (*addresses, current().source_address) if (":" in address) not in kinds]
    sending = tuple(sorted(filter(can_be_listed, {*usual, *own.by_address, *routes, *of_rules})))
    return Host(name, addresses, sending, {source.address: source.ehlo for source in own.all if source.ehlo})


def certificate() -> x509.Certificate | None:
    """That of the mail ports; None while they have one that was only made up, or that can't be read."""
    path = current().tls_certificate
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())[0] if path else None
    except (OSError, ValueError):
        return None
