"""This server as others see it: its name, and the addresses that its mail comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from django.conf import settings as django_settings

from base.name_servers import NoAnswer
from mailspool.dns_records.asking import addresses_of
from quarantine.engines.dnslists import can_be_listed
from spool.delivery.shaping import rules
from spool.models.route import Route
from spool.models.settings import current


@dataclass(frozen=True, slots=True)
class Host:
    """`addresses` are those of its name; `sending` those from which mail goes out to the world, as far as known."""

    name: str
    addresses: tuple[str, ...] = ()
    sending: tuple[str, ...] = ()
    # Why the DNS did not say which addresses there are.
    no_answer: str = ""

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
        return Host(name, no_answer=str(error))
    # Others see none that is translated to another on the way.
    routes = Route.objects.values_list("source_address", flat=True)
    of_rules = (source for rule in rules.cached().rules for source in rule.sources)
    sending = {*addresses, current().source_address, *routes, *of_rules}
    return Host(name, addresses, tuple(sorted(filter(can_be_listed, sending))))


def certificate() -> x509.Certificate | None:
    """That of the mail ports; None while they have one that was only made up, or that can't be read."""
    path = current().tls_certificate
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())[0] if path else None
    except (OSError, ValueError):
        return None
