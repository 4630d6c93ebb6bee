"""The TLS contexts of outgoing connections, one per policy, made once."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cache

from spool.models.destination_rule import RuleTLS
from spool.models.route import TLSPolicy
from spool.models.settings import Settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What we want of the hosts of a domain, and whether what the domain publishes counts. `port` is theirs."""

    policy: TLSPolicy
    dane: bool
    mta_sts: bool
    port: int = 25


def wanted_by(settings: Settings, rule: RuleTLS | None = None) -> Wanted:
    """By a rule, else by settings."""
    port = settings.smtp_out_port
    if rule is None:
        return Wanted(TLSPolicy(settings.tls_policy), settings.honour_dane, settings.honour_mta_sts, port)
    if rule is RuleTLS.OPPORTUNISTIC:
        return Wanted(TLSPolicy.OPPORTUNISTIC, dane=False, mta_sts=False, port=port)
    if rule is RuleTLS.PUBLISHED:
        return Wanted(TLSPolicy.OPPORTUNISTIC, dane=True, mta_sts=True, port=port)
    policy = TLSPolicy.VERIFY if rule is RuleTLS.VERIFY else TLSPolicy.ENCRYPT
    return Wanted(policy, settings.honour_dane, settings.honour_mta_sts, port)


def verifies(policy: TLSPolicy) -> bool:
    """Whether the certificate must be valid for the host's name."""
    return policy in (TLSPolicy.VERIFY, TLSPolicy.IMPLICIT)


@cache
def context_for(policy: TLSPolicy) -> ssl.SSLContext:
    """A client context; the system's certificate authorities (or SSL_CERT_FILE) decide where they must."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verifies(policy):
        # Encryption without proof of identity still beats clear text (RFC 7435).
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
