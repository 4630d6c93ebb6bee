"""Rspamd, by HTTP: POST /checkv2 with the envelope in header fields (rspamd's protocol description)."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote

from quarantine.engines.answers import EngineFailed
from quarantine.engines.connections import exchange
from quarantine.engines.examined import Examined
from quarantine.models.addresses import ServerAddress
from spool.message.summary import storable

LARGEST_REPLY: Final = 1024 * 1024


async def score(server: ServerAddress, examined: Examined, content: bytes) -> tuple[float, str]:
    """(its score, the symbols that hit). Raises EngineFailed and OSError."""
    # To Rspamd, who has logged in is no stranger, and nor is this machine.
    client_ip, ehlo_name = ("127.0.0.1", "") if examined.ours else (examined.client_ip, examined.ehlo_name)
    lines = [
        "POST /checkv2 HTTP/1.0",
        f"Host: {server.host or 'localhost'}",
        f"Content-Length: {len(content)}",
        f"From: {_field(examined.sender or '<>')}",
        f"IP: {_field(client_ip)}",
        f"Helo: {_field(ehlo_name)}",
        f"User: {_field(examined.auth_user)}",
        *(f"Rcpt: {_field(recipient)}" for recipient in examined.recipients[:100]),
    ]
    request = "\r\n".join(line for line in lines if not line.endswith(": ")) + "\r\n\r\n"
    return understand(await exchange(server, request.encode(), content, LARGEST_REPLY))


def parts_of(reply: bytes) -> tuple[str, str, bytes]:
    """The status code of a reply, the whole of its status, and its body. Raises EngineFailed when it is none."""
    head, _, body = reply.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].split(b" ")
    if len(status) < 2 or not status[0].startswith(b"HTTP/"):
        raise EngineFailed("its answer makes no sense" if reply else "it closed the connection without an answer")
    words = storable(b" ".join(status[1:]).decode("utf-8", "replace"), 100)
    return status[1].decode("utf-8", "replace"), words, body


def understand(reply: bytes) -> tuple[float, str]:
    """What a reply says. Raises EngineFailed."""
    code, status, body = parts_of(reply)
    if code != "200":
        raise EngineFailed(f"it answered {status[:100]}")
    try:
        answer = json.loads(body)
        points = float(answer["score"])
        symbols = answer.get("symbols", {})
        hits = sorted(symbols.values(), key=lambda one: -abs(float(one.get("score", 0))))
        names = ", ".join(str(one["name"]) for one in hits if float(one.get("score", 0)))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise EngineFailed("its answer has no score") from error
    return points, storable(names, 400)


def _field(text: str) -> str:
    """Text that can't end its line."""
    return quote(text, safe="@<>.:=+-_!#$&'*/?^`{|}~ ")
