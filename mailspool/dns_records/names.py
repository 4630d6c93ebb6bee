"""Which domain is meant, on a page, in a command and by who asks for a policy."""

from __future__ import annotations

from typing import Final

from accounts.addresses import InvalidAddress, normalise_domain
from accounts.models import Domain

# The host's own records are those of no domain; this is how it is called where a domain is asked for.
HOST: Final = ""
HOST_KEY: Final = "host"


def named(key: str) -> str | None:
    """A domain of ours, or HOST; None for what is neither."""
    return HOST if key == HOST_KEY else our_domain(key)


def our_domain(name: str) -> str | None:
    """A domain of ours in its one spelling."""
    try:
        domain = normalise_domain(name)
    except InvalidAddress:
        return None
    return domain if Domain.objects.filter(name=domain).exists() else None
