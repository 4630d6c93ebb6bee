"""What the DNS calls a client, and whether that name leads back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from base.expiring import ExpiringDict
from quarantine.engines.resolver import ask, names_of

# Shorter than any TTL in use.
KEPT_SECONDS: Final = 30.0
MOST_NAMES: Final = 5


@dataclass(frozen=True, slots=True)
class Name:
    """A name, "" where there is none; one that leads back before others."""

    name: str
    leads_back: bool = False


# Of what came in without a client.
NOBODY: Final = Name("")
_kept: ExpiringDict[str, Name] = ExpiringDict(KEPT_SECONDS)


def name_at_once(client_ip: str) -> Name | None:
    """The name, or None when the DNS has to be asked."""
    return _kept.get(client_ip) if client_ip else NOBODY


async def name_of(client_ip: str, seconds: float) -> Name:
    """The name; each question may take `seconds`. Raises EngineFailed."""
    return name_at_once(client_ip) or _kept.keep(client_ip, await _ask(client_ip, seconds))


async def _ask(client_ip: str, seconds: float) -> Name:
    names = await names_of(client_ip, seconds)
    kind = "AAAA" if ":" in client_ip else "A"
    for name in names[:MOST_NAMES]:
        if client_ip in await ask(name, kind, seconds):
            return Name(name, leads_back=True)
    return Name(names[0] if names else "")


def forget() -> None:
    """Drop what was kept."""
    _kept.clear()
