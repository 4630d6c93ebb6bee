"""Whether what our resolver calls validated (AD, RFC 4035 3.2.3) can be believed: it has to be ours, and to validate.

Anybody on the way could set that flag, so it counts from a resolver on this machine, or one of which the environment
says that the way to it is safe. That it validates is tried: the root is signed, and a zone that is known to be badly
signed must not be answered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from enum import Enum
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.resolver
from django.conf import settings as django_settings

# Its operator keeps it badly signed for such trials.
BAD_NAME: Final = "dnssec-failed.org"
TRY_AGAIN_SECONDS: Final = 600.0
# When there was no answer.
TRY_SOON_SECONDS: Final = 30.0
QUESTION_SECONDS: Final = 5.0


class State(Enum):
    """What a resolver is good for."""

    VALIDATES = "validates"
    # Nothing follows from that: what it calls validated while it answers is.
    SILENT = "gives no answer"
    PLAIN = "does not validate"
    # As with Unbound's val-permissive-mode: what is forged is answered like what is not signed.
    PERMISSIVE = "answers what is badly signed"
    FOREIGN = "is not on this machine"

    @property
    def may_be_believed(self) -> bool:
        return self in (State.VALIDATES, State.SILENT)


def is_ours(resolver: dns.resolver.BaseResolver) -> bool:
    """Whether nobody stands between us and it."""
    if django_settings.MAILSPOOL_TRUST_DNS:
        return True
    try:
        return all(ipaddress.ip_address(str(server)).is_loopback for server in resolver.nameservers)
    except ValueError:
        return False


class Validation:
    """What is known of one resolver, in one event loop; it is asked to tell what it validated from now on."""

    def __init__(self, resolver: dns.asyncresolver.Resolver) -> None:
        self.is_ours = is_ours(resolver)
        if self.is_ours:
            # Asks to be told what was validated (RFC 6840 5.7).
            resolver.set_flags(dns.flags.RD | dns.flags.AD)
        self._resolver = resolver
        self._state = State.FOREIGN
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def state(self) -> State:
        """As it was found in the last few minutes. Never raises."""
        if not self.is_ours:
            return State.FOREIGN
        if time.monotonic() >= self._until:
            async with self._lock:
                if time.monotonic() >= self._until:
                    self._state = await self._tried()
                    seconds = TRY_SOON_SECONDS if self._state is State.SILENT else TRY_AGAIN_SECONDS
                    self._until = time.monotonic() + seconds
        return self._state

    async def _tried(self) -> State:
        root = await self._asked(".", "NS")
        if root is None:
            return State.SILENT
        if not root:
            return State.PLAIN
        signed, answer = await asyncio.gather(self._asked(BAD_NAME, "DS"), self._asked(BAD_NAME, "SOA"))
        # Without a DS record of it there is nothing bad about it any more.
        return State.PERMISSIVE if signed and answer is False else State.VALIDATES

    async def _asked(self, name: str, kind: str) -> bool | None:
        """Whether a record is called validated; None when there is no answer or no such record."""
        try:
            answer = await self._resolver.resolve(name, kind, search=False, lifetime=QUESTION_SECONDS)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return False if name == "." else None
        except (dns.exception.DNSException, OSError, ValueError):
            return None
        return bool(answer.response.flags & dns.flags.AD)
