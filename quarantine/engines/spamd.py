"""SpamAssassin's spamd, by its protocol (spamd/PROTOCOL): the command SYMBOLS, one connection for each message."""

from __future__ import annotations

import re
from typing import Final

from quarantine.engines.answers import EngineFailed
from quarantine.engines.asking import exchange
from quarantine.models.addresses import ServerAddress

LARGEST_REPLY: Final = 64 * 1024
_STATUS: Final = re.compile(rb"SPAMD/[\d.]+ (\d+) ([^\r\n]*)")
_SPAM: Final = re.compile(rb"(?im)^Spam: *(?:True|False|Yes|No) *; *(-?[\d.]+) */ *(-?[\d.]+)")


async def score(server: ServerAddress, content: bytes) -> tuple[float, str]:
    """(its score, the rules that hit). Raises EngineFailed and OSError."""
    head = b"SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(content)
    return understand(await exchange(server, head, content, LARGEST_REPLY, ends=True))


def understand(reply: bytes) -> tuple[float, str]:
    """What a reply says. Raises EngineFailed."""
    status = _STATUS.match(reply)
    if status is None:
        raise EngineFailed("its answer makes no sense" if reply else "it closed the connection without an answer")
    if status[1] != b"0":
        raise EngineFailed(f"it answered {status[1].decode()} {status[2].decode('utf-8', 'replace')[:100]}")
    found = _SPAM.search(reply)
    if found is None:
        raise EngineFailed("its answer has no score")
    try:
        points = float(found[1])
    except ValueError as error:
        raise EngineFailed("its answer has no score") from error
    rules = reply.partition(b"\r\n\r\n")[2].decode("utf-8", "replace").strip()
    return points, ", ".join(rules.split(","))[:400]
