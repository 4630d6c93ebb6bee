"""Answers of the DNS of which some records are misshapen: dnspython refuses the whole, and the rest is of use.

A TLSA record whose digest has the wrong length is to be passed over: it must not keep mail from its domain.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver

_SECONDS: Final = 5.0


def is_cause_of(error: BaseException | None) -> bool:
    """Whether the resolver may have answered, and dnspython could not read that: over UDP it waits for a better one."""
    if isinstance(error, dns.resolver.LifetimeTimeout):
        return True
    errors = error.kwargs.get("errors", ()) if isinstance(error, dns.resolver.NoNameservers) else ()
    return any(isinstance(one[3], dns.exception.FormError) for one in errors)


async def ask_again(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> list[Any] | None:
    """The records that can be read, perhaps none; None where the answer was not validated.

    Raises OSError, TimeoutError, EOFError and DNSException.
    """
    question = dns.message.make_query(name, kind, flags=dns.flags.RD | dns.flags.AD)
    wire = question.to_wire()
    async with asyncio.timeout(_SECONDS):
        reader, writer = await asyncio.open_connection(str(resolver.nameservers[0]), resolver.port)
        try:
            writer.write(len(wire).to_bytes(2) + wire)
            length = int.from_bytes(await reader.readexactly(2))
            answer = dns.message.from_wire(await reader.readexactly(length), continue_on_error=True)
        finally:
            writer.close()
    if answer.rcode() != 0 or not question.is_response(answer):
        raise EOFError(f"no answer for {name}")
    if not answer.flags & dns.flags.AD:
        return None
    wanted = dns.rdatatype.from_text(kind)
    return [record for records in answer.answer if records.rdtype == wanted for record in records]
