"""How much there is in the spool of whom: users who logged in, senders who did not, client IPs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from spool.rows.statements import execute

# Nobody's are counted further: a page must not read a million rows. Each part has an index.
MOST: Final = 10_000
_OF_USER: Final = "SELECT id FROM spool_entry WHERE auth_user = %s AND NOT (auth_user = '')"
_OF_IP: Final = "SELECT id FROM spool_entry WHERE client_ip = %s"
_OF_SENDER: Final = "SELECT id FROM spool_entry WHERE sender_domain = %s AND sender = %s AND auth_user = ''"
# Those that are written otherwise.
_OF_SENDER_KEY: Final = "SELECT id FROM spool_entry WHERE sender_key = %s AND auth_user = ''"


def numbers(
    users: Iterable[str], senders: Iterable[str], ips: Iterable[str]
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """The number of messages of each user, sender and IP that has any, up to MOST. One query."""
    parts: list[str] = []
    parameters: list[Any] = []
    found: tuple[dict[str, int], dict[str, int], dict[str, int]] = ({}, {}, {})

    def ask(place: int, key: str, statement: str, *values: str) -> None:
        counted = f"SELECT COUNT(*) FROM (SELECT 1 FROM ({statement}) AS e LIMIT {MOST}) AS n"
        parts.append(f"SELECT {place}, CAST(%s AS text), ({counted})")
        parameters.extend((key, *values))

    for key in users:
        ask(0, key, _OF_USER, key)
    for key in senders:
        ask(1, key, _OF_SENDER, key.rpartition("@")[2], key)
        ask(1, key, _OF_SENDER_KEY, key)
    for key in ips:
        ask(2, key, _OF_IP, key)
    for place, key, number in execute(" UNION ALL ".join(parts), parameters).fetchall() if parts else ():
        if number:
            found[place][key] = min(MOST, found[place].get(key, 0) + number)
    return found
