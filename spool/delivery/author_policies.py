"""What domains ask for about mail in their name that is not proven to be theirs (DMARC, RFC 9989): for lists to know.

What is known is known at once, in any thread. What is not is asked of the DNS in the event loop, within a few seconds,
while other mail goes on. Where the DNS gives no answer a domain counts as one that asks for refusal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.resolver

from base import resolvers
from base.dns_texts import tags_of
from base.expiring import ExpiringDict

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 600.0
FAILURE_SECONDS: Final = 60.0
QUESTION_SECONDS: Final = 3.0
LONGEST_SECONDS: Final = 8.0
MOST_QUESTIONS: Final = 20
# Of a longer name the domain itself is asked about and its last seven labels (RFC 9989 4.10).
MOST_LABELS: Final = 8
_STRICT: Final = ("quarantine", "reject")

_kept: ExpiringDict[str, bool] = ExpiringDict(KEPT_SECONDS)


def is_strict(domain: str) -> bool | None:
    """Whether a domain asks to quarantine or refuse such mail; None when the DNS has to be asked."""
    return _kept.get(domain)


def forget() -> None:
    """Drop what was kept."""
    _kept.clear()


class PolicyLookups:
    """Asks the DNS, for one event loop; `resolver` is `host:port`, empty for the machine's."""

    def __init__(self, resolver: str = "") -> None:
        self._address = resolver
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(MOST_QUESTIONS)

    async def learn(self, domains: Collection[str]) -> None:
        """Find out about `domains`: `is_strict` knows them from then on, for a while. Never raises."""
        wanted = [self._task(domain) for domain in domains if is_strict(domain) is None]
        if wanted:
            await asyncio.wait(wanted)

    def _task(self, domain: str) -> asyncio.Task[None]:
        task = self._asking.get(domain)
        if task is None:
            task = self._asking[domain] = asyncio.ensure_future(self._learn(domain))
            task.add_done_callback(lambda _: self._asking.pop(domain, None))
        return task

    async def _learn(self, domain: str) -> None:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                _kept.keep(domain, await self._asks_for_more(domain))
        except (dns.exception.DNSException, OSError, ValueError) as error:
            log.warning("no DMARC policy of %s to be had, lists rewrite its From: %r", domain, error)
            _kept.keep(domain, True, FAILURE_SECONDS)

    async def _asks_for_more(self, domain: str) -> bool:
        """By its own record, else by those of the domains that it is in. Raises DNSException, OSError and ValueError.

        Receivers differ in which of those counts: one that asks for more is enough.
        """
        own = await self._records(domain)
        if own:
            return any(record["p"] in _STRICT for record in own)
        parents = await asyncio.gather(*(self._records(name) for name in parents_of(domain)))
        return any(record.get("sp", record["p"]) in _STRICT for records in parents for record in records)

    async def _records(self, domain: str) -> list[dict[str, str]]:
        if self._resolver is None:
            self._resolver = resolvers.resolver(dns.asyncresolver.Resolver, self._address)
        async with self._turn:
            try:
                answer = await self._resolver.resolve(
                    f"_dmarc.{domain}", "TXT", search=False, lifetime=QUESTION_SECONDS
                )
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                return []
        texts = (b"".join(record.strings).decode("utf-8", "replace") for record in answer)
        return [record for text in texts if (record := record_of(text))]


def parents_of(domain: str) -> Sequence[str]:
    """The domains that it is in, at most seven, the nearest first; not itself (RFC 9989 4.10)."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - MOST_LABELS + 1), len(labels))]


def record_of(text: str) -> dict[str, str]:
    """The tags of a DMARC record, in lower case; none when it is no valid one."""
    version, _, _rest = text.partition(";")
    if "".join(version.split()) != "v=DMARC1":
        return {}
    tags = {name: value.lower() for name, value in tags_of(text).items()}
    return tags if tags.get("p") in ("none", *_STRICT) else {}
