"""SpamAssassin's spamd, by its protocol (spamd/PROTOCOL): the command SYMBOLS, one connection for each message."""

from __future__ import annotations

import re
from typing import Final

from quarantine.engines.answers import EngineFailed
from quarantine.engines.connections import exchange
from quarantine.models.addresses import ServerAddress
from spool.message.header import split
from spool.message.summary import storable

LARGEST_REPLY: Final = 64 * 1024
_OUR_RECEIVED: Final = re.compile(rb"(?m)^(Received: from [^\n]*\n\tby [^\s]+ \(Mailspool\) with )[A-Z0-9]+")
_STATUS: Final = re.compile(rb"SPAMD/[\d.]+ (\d+) ([^\r\n]*)")
_SPAM: Final = re.compile(rb"(?im)^Spam: *(?:True|False|Yes|No) *; *(-?[\d.]+) */ *(-?[\d.]+)")


async def score(server: ServerAddress, content: bytes) -> tuple[float, str]:
    """(its score, the rules that hit). Raises EngineFailed and OSError."""
    head = b"SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(content)
    return understand(await exchange(server, head, content, LARGEST_REPLY, ends=True))


def as_ours(content: bytes) -> bytes:
    """The message as of a client that has logged in, which is how SpamAssassin knows who is no stranger.

    It learns of that from the Received field that we have added and from nothing else.
    """
    head, rest = split(content)
    return _OUR_RECEIVED.sub(rb"\1ESMTPA", head, count=1) + rest


def status_of(reply: bytes) -> tuple[str, str]:
    """The code of a reply, "0" when all is well, and its words. Raises EngineFailed when it is none."""
    status = _STATUS.match(reply)
    if status is None:
        raise EngineFailed("its answer makes no sense" if reply else "it closed the connection without an answer")
    return status[1].decode(), storable(status[2].decode("utf-8", "replace"), 100)


def understand(reply: bytes) -> tuple[float, str]:
    """What a reply says. Raises EngineFailed."""
    code, words = status_of(reply)
    if code != "0":
        raise EngineFailed(f"it answered {code} {words}")
    found = _SPAM.search(reply)
    if found is None:
        raise EngineFailed("its answer has no score")
    try:
        points = float(found[1])
    except ValueError as error:
        raise EngineFailed("its answer has no score") from error
    rules = reply.partition(b"\r\n\r\n")[2].decode("utf-8", "replace").strip()
    return points, storable(", ".join(rules.split(",")), 400)
