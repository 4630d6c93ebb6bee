"""The TLSA records of mail hosts (RFC 7672 2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from spool.delivery.remote.dane.records import Record, Tlsa, usable
from spool.delivery.remote.mx import Exchangers, Host, NoRoute, Secured

# Of what reports quote.
MOST_SAID: Final = 10


async def found(hosts: Sequence[Host], port: int, exchangers: Exchangers) -> dict[str, Tlsa | NoRoute | None]:
    """What is known of each of the hosts, by name: None where DANE does not apply, NoRoute where the DNS does not say.

    A host of the last kind must not be used: who keeps the answer from us may want just that (RFC 7672 2.1.2).
    """
    asked = {host.name: host.secured for host in hosts if host.secured is not None}
    if not asked or not (await exchangers.validation.state()).may_be_believed:
        return {}
    answers = await asyncio.gather(*[_of_host(secured, port, exchangers) for secured in asked.values()])
    return dict(zip(asked, answers, strict=True))


async def _of_host(secured: Secured, port: int, exchangers: Exchangers) -> Tlsa | NoRoute | None:
    for base in secured.bases:
        try:
            answer = await exchangers.tlsa(f"_{port}._tcp.{base}")
        except NoRoute as error:
            return error
        if answer is not None:
            found = [Record(one.usage, one.selector, one.mtype, one.cert) for one in answer]
            said = tuple(map(str, found[:MOST_SAID]))
            return Tlsa(base, (base, *secured.next_hops), usable(found), said)
    return None
