"""By which keys a message is signed when it is sent: those of whoever it is from, as far as that is one of us."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings as django_settings

from accounts.addresses import domain_of, enclosing
from base.sealed import CannotUnseal, unseal
from base.short_cache import ShortCache
from spool.message import authors
from spool.message.envelope import LeasedEntry
from spool.message.header import LONGEST_HEADER, Header, raw_fields, split
from spool.models.dkim import DkimKey, KeyAlgorithm, KeyState
from spool.models.entry import Origin
from spool.models.settings import current
from spool.signing import canonical
from spool.signing.signer import PrivateKey, Signer
from spool.trusted import says_ours

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 2.0
_PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The active keys by domain, RSA first; `host` is the domain that signs for this server itself.

    With `host_signs` it also signs for domains of ours without a key.
    """

    signers: Mapping[str, tuple[Signer, ...]] = field(default_factory=dict)
    host: str = ""
    host_signs: bool = False

    async def signature(self, entry: LeasedEntry, content: bytes | None, own: bytes = b"") -> bytes:
        """The fields to put before `entry`; empty when nobody of ours answers for it, or has no key.

        `content` is the whole message as it is sent, or None for one that is read piece by piece, which happens in a
        thread; `own` are the fields that are sent before that one. Raises OSError.
        """
        if not self.signers:
            return b""
        head = entry.read_head(LONGEST_HEADER) if content is None else content
        header, rest = split(head)
        signers = self.signers_for(entry, Header(header))
        if not signers:
            return b""
        if entry.body_hash is None:
            if content is None:
                entry.body_hash = await asyncio.to_thread(_hash_of, entry, len(header))
            else:
                entry.body_hash = canonical.body_hash(_after_empty_line(rest))
        fields, now = raw_fields(header), int(time.time())
        if content is None and own:
            fields = raw_fields(own) + [one for one in fields if one.replace(b"\r\n", b"\n") not in entry.omitted]
        return b"".join(signer.sign(fields, entry.body_hash, now) for signer in signers)

    def signers_for(self, entry: LeasedEntry, header: Header) -> tuple[Signer, ...]:
        """Those who answer for a message: its author's domain, if it is from one of us, or else who passed it on.

        A list answers for its fields in each.
        """
        author = self._of_author(entry, header)
        if entry.origin == Origin.LIST.value:
            return author + tuple(one for one in self._of_list(entry) if one not in author)
        return author or self._of_forwarder(entry)

    def _of_author(self, entry: LeasedEntry, header: Header) -> tuple[Signer, ...]:
        if not says_ours(entry):
            return ()
        try:
            domains = {domain_of(address) for address in authors.of_from(header)}
        except authors.Unclear:
            return ()
        return self._of_domain(*domains) if len(domains) == 1 else ()

    def _of_domain(self, domain: str) -> tuple[Signer, ...]:
        """Those who sign for one of us."""
        of_host = self.signers.get(self.host, ())
        if domain == django_settings.MAILSPOOL_HOSTNAME.lower():
            return of_host
        return self.signers.get(domain) or (of_host if self.host_signs else ())

    def signs_as(self, address: str) -> bool:
        """Whether mail of ours from that address is signed by its own domain, or that above it."""
        domain = domain_of(address)
        return any(
            signer.domain == domain or domain.endswith(f".{signer.domain}") for signer in self._of_domain(domain)
        )

    def _of_list(self, entry: LeasedEntry) -> tuple[Signer, ...]:
        """Its reverse-path is the list's own."""
        return self.signers.get(domain_of(entry.sender), ())

    def _of_forwarder(self, entry: LeasedEntry) -> tuple[Signer, ...]:
        """A stranger's mail is not ours to sign in their name (RFC 6376 B.2.3): the mailbox answers for it."""
        if entry.origin != Origin.FORWARD.value:
            return ()
        domains = {domain_of(one.original) for one in entry.recipients if one.original}
        return self.signers.get(domains.pop(), ()) if len(domains) == 1 else ()


NONE: Final = KeyRing()


def load() -> KeyRing:
    """The keys as they are now: one query. What was read before is not unsealed again."""
    global _keys
    rows = list(
        DkimKey.objects.filter(state=KeyState.ACTIVE).values_list(
            "domain", "selector", "algorithm", "sealed_private_key"
        )
    )
    if not rows:
        return NONE
    found, opened = dict[str, tuple[Signer, ...]](), {}
    for domain, selector, algorithm, sealed in rows:
        try:
            key = opened[sealed] = _keys.get(sealed) or _opened(sealed)
        except (CannotUnseal, ValueError) as error:
            log.error("mail of %s is not signed with the key %s: %s", domain, selector, error)
            continue
        signer, others = Signer(domain, selector, key), found.get(domain, ())
        found[domain] = (signer, *others) if algorithm == KeyAlgorithm.RSA else (*others, signer)
    _keys = opened
    return KeyRing(found, _host_domain(found), current().dkim_host_signs)


def _host_domain(signers: Mapping[str, object]) -> str:
    """The domain with a key that this server's own name is, or is in: notices are signed by it."""
    return next((name for name in enclosing(django_settings.MAILSPOOL_HOSTNAME.lower()) if name in signers), "")


_keys: dict[str, PrivateKey] = {}


def _opened(sealed: str) -> PrivateKey:
    """A private key; to unseal and check one takes a millisecond. Raises CannotUnseal and ValueError."""
    return cast("PrivateKey", load_pem_private_key(unseal(sealed).encode(), None))


def _after_empty_line(rest: bytes) -> bytes:
    """The body: what follows the empty line that ends the header."""
    return rest[2:] if rest.startswith(b"\r\n") else rest.removeprefix(b"\n")


def _hash_of(entry: LeasedEntry, header_bytes: int) -> bytes:
    body = canonical.Body()
    with entry.open() as file:
        file.seek(header_bytes)
        body.update(_after_empty_line(file.read(_PIECE_BYTES)))
        while piece := file.read(_PIECE_BYTES):
            body.update(piece)
    return body.digest()


_ring = ShortCache(FRESH_SECONDS, load)


def cached_ring() -> KeyRing:
    """The keys, read at most every two seconds per process. May query: not for event loops."""
    return _ring.current()


def forget() -> None:
    """Drop this process's copy."""
    _ring.forget()
