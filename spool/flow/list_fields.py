"""Fields of a list's message that only one member gets: how that one leaves (RFC 2369, RFC 8058).

They are put before the message while it is sent, and signed with it. So a list of thousands still is one message in the
spool for a thousand members, of which each gets a transaction of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from accounts import directory, unsubscribing
from accounts.directory import LocalAlias, LocalList
from accounts.models.lists import Unsubscribing
from spool.message.envelope import LeasedEntry
from spool.message.header import LONGEST_HEADER, raw_fields, split
from spool.rows.keys import list_key

log = logging.getLogger(__name__)

PATH: Final = "/unsubscribe/"
_NAMES: Final = (b"list-unsubscribe", b"list-unsubscribe-post")


def add_list_fields(entries: Sequence[LeasedEntry]) -> None:
    """Give each member's copy its own List-Unsubscribe, for lists that want it.

    One look at the directory for all, and a query for each message of such a list; none without lists. Never raises but
    for the database: without a key, or a file, a message goes out as it is.
    """
    of_lists = [(entry, name) for entry in entries if (name := list_key(entry.origin, entry.sender))]
    if not of_lists:
        return
    found = directory.lookup_many([name for _, name in of_lists])
    for entry, name in of_lists:
        here = found[name]
        if isinstance(here, LocalList) and here.unsubscribe == Unsubscribing.ONE_CLICK:
            try:
                _add(entry, here)
            except OSError as error:
                log.error("%s goes without links to leave %s: %s", entry.file_name, here.address, error)


def _add(entry: LeasedEntry, here: LocalList) -> None:
    """Raises OSError."""
    members = {one.id: one.original or one.address for one in entry.recipients}
    # Nobody behind an alias may take the others off.
    known = directory.lookup_many(one.original for one in entry.recipients if one.original)
    tokens = unsubscribing.tokens_of(here.id, members.values())
    own = {
        number: fields_for(here.address, tokens[member], _console_url())
        for number, member in members.items()
        if member in tokens and not isinstance(known.get(member), LocalAlias)
    }
    if not any(own.values()):
        return
    header, _ = split(entry.read_head(LONGEST_HEADER))
    shared = [one for one in raw_fields(header) if one.partition(b":")[0].strip(b" \t").lower() in _NAMES]
    entry.omitted |= frozenset(one.replace(b"\r\n", b"\n") for one in shared)
    entry.own_fields = {number: own.get(number) or b"".join(shared) for number in members}


def fields_for(list_address: str, token: str, console_url: str) -> bytes:
    """The fields of one member. The link only where it is HTTPS (RFC 8058 3.1); nothing where there is no way."""
    ways = []
    is_linked = console_url.lower().startswith("https://")
    if is_linked:
        ways.append(f"<{console_url.rstrip('/')}{PATH}{token}>")
    if address := unsubscribing.leaving_address(list_address, token):
        ways.append(f"<mailto:{address}?subject=unsubscribe>")
    if not ways:
        return b""
    field = "List-Unsubscribe: " + ",\r\n\t".join(ways) + "\r\n"
    return (field + ("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if is_linked else "")).encode()


def _console_url() -> str:
    return _named()()


@cache
def _named() -> Callable[[], str]:
    path: str = django_settings.SPOOL_CONSOLE_URL
    named: Callable[[], str] = import_string(path)
    return named
