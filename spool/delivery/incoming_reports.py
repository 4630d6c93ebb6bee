"""Reports about our domains, at the addresses that their DNS names for them (rua=, RFC 8460 3, RFC 9989 4.7).

Here they are only known by their clothes and put aside, in the transaction that records their delivery; they are read
in a maintenance worker (mailspool.mail_reports). Other mail costs a look into a set of addresses.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import unquote

from accounts.addresses import key_of
from base.dns_texts import tags_of
from base.short_cache import ShortCache
from spool.message.envelope import LeasedEntry, LeasedRecipient
from spool.message.summary import storable
from spool.models.dns import DomainRecord
from spool.models.entry import Origin
from spool.models.mail_report import IncomingReport

log = logging.getLogger(__name__)

# What is larger is no report: these are packed, and have one line for each address that sent.
LARGEST_BYTES: Final = 2 * 1024 * 1024
# So many may wait to be read; more are left to who reads the mailbox.
MOST_WAITING: Final = 100
FRESH_SECONDS: Final = 60.0
_HEAD_BYTES: Final = 8 * 1024
# Of the records that name them.
PURPOSES: Final = ("DMARC", "TLS-RPT")
_CLOTHES: Final = re.compile(rb"tlsrpt|report[- ]domain|dmarc|application/(x-)?(gzip|zip)", re.IGNORECASE)


def in_mail(entry: LeasedEntry, recipients: Sequence[LeasedRecipient], now: datetime) -> IncomingReport | None:
    """The report that an entry may be; None for all other mail, and where it can't be read."""
    if entry.attempts or entry.origin in (Origin.FORWARD, Origin.LIST) or entry.size_bytes > LARGEST_BYTES:
        return None
    named = addresses()
    if not named or named.isdisjoint(_keys(recipients)):
        return None
    try:
        with entry.open() as file:
            head = file.read(_HEAD_BYTES)
            if not _CLOTHES.search(head):
                return None
            content = head + file.read(LARGEST_BYTES - len(head))
    except OSError:
        # Delivery will say that the file can't be read.
        return None
    if IncomingReport.objects.count() >= MOST_WAITING:
        log.warning("%s is left unread: %d reports wait already", entry.file_name, MOST_WAITING)
        return None
    return IncomingReport(
        file_name=entry.file_name,
        sender=storable(entry.sender, 320),
        client_ip=entry.client_ip,
        received=now,
        content=content,
    )


def addresses() -> frozenset[str]:
    """The keys of the addresses that our domains' records name, as the last look at the DNS found them."""
    return _addresses.current()


def forget() -> None:
    """Have them read again."""
    _addresses.forget()


def _keys(recipients: Sequence[LeasedRecipient]) -> Iterator[str]:
    for recipient in recipients:
        yield key_of(recipient.address)
        if recipient.original:
            yield key_of(recipient.original)


def _read() -> frozenset[str]:
    rows = DomainRecord.objects.filter(purpose__in=PURPOSES).exclude(found="").values_list("found", flat=True)
    return frozenset(address for found in rows for line in found.splitlines() for address in named_in(line))


def named_in(record: str) -> Iterator[str]:
    """The keys of the mailboxes that a record names for reports."""
    for uri in tags_of(record).get("rua", "").split(","):
        scheme, _, rest = uri.strip().partition(":")
        # Behind ! older records say how large a report may be.
        mailbox = unquote(rest.partition("?")[0].partition("!")[0])
        if scheme.lower() == "mailto" and "@" in mailbox:
            yield key_of(mailbox.strip())


_addresses = ShortCache(FRESH_SECONDS, _read)
