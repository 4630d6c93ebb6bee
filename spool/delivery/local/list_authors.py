"""From as a list writes it, where receivers would refuse its mail in the author's name (DMARC).

Lists change messages, and send them from hosts that the author's domain does not name. Where that domain asks to refuse
such mail, it is "Ann Example via news <news@example.org>" who writes: the list, which answers for it by its own
signature. The author stays in Reply-To, unless the author wants answers elsewhere, and in Author (RFC 9057).
"""

from __future__ import annotations

import re
from email.header import Header as EncodedHeader
from typing import Final

from accounts.addresses import InvalidAddress, normalise_domain
from accounts.directory import LocalList
from accounts.models.lists import FromRewriting
from spool.delivery import author_policies
from spool.message import authors, encoded_words
from spool.message.envelope import LeasedEntry
from spool.message.header import Header, raw_fields
from spool.message.summary import storable
from spool.signing.ring import cached_ring
from spool.trusted import is_ours

LONGEST_NAME: Final = 80
# More than anybody writes in From: nobody is asked about those.
MOST_DOMAINS: Final = 4
_ESCAPED: Final = re.compile(r"\\(.)")
_TAKEN_OUT: Final = (b"from", b"sender")


class UnknownPolicies(Exception):
    """The DNS has to be asked about `domains` first (spool.delivery.author_policies)."""

    def __init__(self, domains: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(domains)))
        self.domains = domains


def is_rewritten(mailing_list: LocalList, entry: LeasedEntry, header: bytes) -> bool:
    """Whether the list writes in its own name. Raises UnknownPolicies."""
    if mailing_list.rewrite_from == FromRewriting.NEVER:
        return False
    if mailing_list.rewrite_from == FromRewriting.ALWAYS:
        return True
    try:
        domains = {normalise_domain(one.rpartition("@")[2]) for one in authors.of_from(Header(header))}
    except (authors.Unclear, InvalidAddress):
        return True
    if domains == {mailing_list.domain}:
        # The reverse-path speaks for it.
        return False
    if len(domains) == 1 and domains <= cached_ring().signers.keys() and is_ours(entry):
        # We sign for the author anew.
        return False
    if len(domains) > MOST_DOMAINS:
        return True
    known = {domain: author_policies.is_strict(domain) for domain in domains}
    if any(known.values()):
        return True
    if unknown := frozenset(domain for domain, answer in known.items() if answer is None):
        raise UnknownPolicies(unknown)
    return False


def rewritten(header: bytes, address: str) -> tuple[bytes, bytes]:
    """(fields to be put before it, the header without those that they stand for) for the list `address`."""
    fields = raw_fields(header)
    value = next((one.partition(b":")[2].strip() for one in fields if _name(one) == b"from"), b"")
    names = {_name(one) for one in fields}
    try:
        first = authors.of_from(Header(header))[0]
    except authors.Unclear:
        first = ""
    added = b"From: " + _own_name(value, first, address) + b"\r\n"
    if value and b"author" not in names:
        added += b"Author: " + value + b"\r\n"
    if first and b"reply-to" not in names:
        added += b"Reply-To: " + value + b"\r\n"
    return added, b"".join(one for one in fields if _name(one) not in _TAKEN_OUT)


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip(b" \t").lower()


def _own_name(value: bytes, first: str, address: str) -> bytes:
    """The mailbox in From: who wrote, and the list. `first` is the address of who wrote, if that is clear."""
    written, bracket, _ = value[: authors.LONGEST].decode("utf-8", "replace").partition("<")
    name = encoded_words.decode(_ESCAPED.sub(r"\1", " ".join(written.split()).strip('"'))) if bracket else ""
    name = storable(" ".join(name.split()), LONGEST_NAME)
    if not name or "@" in name:
        # An address in a name looks like a forgery to receivers.
        name = storable(first.rpartition("@")[0], LONGEST_NAME)
    label = storable(address.rpartition("@")[0], LONGEST_NAME)
    return _phrase(f"{name} via {label}" if name else label) + f" <{address}>".encode()


def _phrase(text: str) -> bytes:
    """A display name as a header may hold it (RFC 5322 3.2.5, RFC 2047 5)."""
    if text.isascii() and "=?" not in text:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'.encode()
    return EncodedHeader(text, "utf-8", maxlinelen=60).encode(linesep="\r\n").encode()
