"""The keys of an entry's addresses, as its rows have them beside what was written (accounts.addresses).

A column of a key is null where the address is its own. It serves searching, counting and blocking, never delivery.
"""

from __future__ import annotations

from typing import Final

from accounts.addresses import LONGEST_PATH, key_of, other_key
from accounts.local_addresses import list_of_bounces
from spool.message.envelope import EnvelopeRecipient, LeasedRecipient
from spool.models.entry import Origin

__all__ = ["list_key", "other_key", "recipient_keys"]

_LIST: Final = Origin.LIST.value


def list_key(origin: str, sender: str) -> str:
    """The list whose copies an entry brings to its members; "" for other mail. The sender is the list's for bounces."""
    return list_of_bounces(key_of(sender)) if origin == _LIST else ""


def recipient_keys(recipient: EnvelopeRecipient | LeasedRecipient, of_list: str) -> tuple[str | None, str | None]:
    """Of the address, where it is written otherwise, and of what was written and led there: an alias, or `of_list`."""
    original = of_list or recipient.original
    return other_key(recipient.address), key_of(original)[:LONGEST_PATH] if original else None
