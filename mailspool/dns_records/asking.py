"""Questions to the resolver, for what is not in a zone of ours."""

from __future__ import annotations

import dns.exception
import dns.resolver
from django.conf import settings as django_settings

from base import resolvers
from base.facts import fact
from base.name_servers import QUESTION_SECONDS, NameServers, NoAnswer, reason, text_of


def servers() -> NameServers:
    """Those of any zone, for one look at a domain."""
    return NameServers(str(django_settings.MAILSPOOL_DNS), kept=True)


def ask(name: str, kind: str) -> tuple[str, ...]:
    """Records as base.name_servers.Answer has them; none is kept. Raises NoAnswer."""
    try:
        resolver = resolvers.resolver(dns.resolver.Resolver, str(django_settings.MAILSPOOL_DNS))
        answer = resolver.resolve(name, kind, search=False, lifetime=QUESTION_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise NoAnswer(
            fact("The DNS gives no answer for %(name)s (%(kind)s): %(why)s", name=name, kind=kind, why=reason(error))
        ) from error
    return tuple(text_of(record) for record in answer)


def addresses_of(name: str) -> tuple[str, ...]:
    """Those of both families. Raises NoAnswer."""
    return (*ask(name, "A"), *ask(name, "AAAA"))
