"""Telling engines of their mistakes: spamd by its command TELL (spamd/PROTOCOL), Rspamd by HTTP at its controller."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Final

from quarantine.engines.answers import EngineFailed
from quarantine.engines.asking import exchange
from quarantine.models.addresses import parse_server
from quarantine.models.check import Check, CheckKind
from spool.delivery.sealed import CannotUnseal, unseal

LARGEST_REPLY: Final = 64 * 1024
_SPAMD_STATUS: Final = re.compile(rb"SPAMD/[\d.]+ (\d+) ([^\r\n]*)")


class Lesson(Enum):
    """What a message really is."""

    HAM = "ham"
    SPAM = "spam"


async def teach(check: Check, lesson: Lesson, content: bytes) -> None:
    """Tell the check's engine what the message is; one that knows it already is content.

    Raises EngineFailed, with what it said, and OSError.
    """
    if check.kind == CheckKind.SPAMD:
        head = (
            f"TELL SPAMC/1.5\r\nMessage-class: {lesson.value}\r\nSet: local\r\nContent-length: {len(content)}\r\n\r\n"
        )
        understand_spamd(await exchange(parse_server(check.where), head.encode(), content, LARGEST_REPLY, ends=True))
        return
    server = parse_server(check.learn_where)
    try:
        password = unseal(check.sealed_password) if check.sealed_password else ""
    except CannotUnseal as error:
        raise EngineFailed(str(error)) from error
    lines = [f"POST /learn{lesson.value} HTTP/1.0", f"Host: {server.host or 'localhost'}"]
    # An administrator has decided: it need not be sure that it was wrong.
    lines += [f"Content-Length: {len(content)}", "Learn-Type: bulk", *([f"Password: {password}"] if password else [])]
    head = "\r\n".join(lines) + "\r\n\r\n"
    understand_rspamd(await exchange(server, head.encode(), content, LARGEST_REPLY))


def understand_spamd(reply: bytes) -> None:
    """Raises EngineFailed when it has not learned."""
    status = _SPAMD_STATUS.match(reply)
    if status is None:
        raise EngineFailed("its answer makes no sense" if reply else "it closed the connection without an answer")
    if status[1] != b"0":
        words = status[2].decode("utf-8", "replace")[:100]
        raise EngineFailed(
            f"it answered {status[1].decode()} {words}; spamd learns only when it runs with --allow-tell"
        )


def understand_rspamd(reply: bytes) -> None:
    """Raises EngineFailed when it has not learned."""
    head, _, body = reply.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].split(b" ")
    if len(status) < 2 or not status[0].startswith(b"HTTP/"):
        raise EngineFailed("its answer makes no sense" if reply else "it closed the connection without an answer")
    # 208: it has learned this message before.
    if status[1] in (b"200", b"208"):
        return
    try:
        why = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        why = ""
    raise EngineFailed(f"it answered {b' '.join(status[1:]).decode('utf-8', 'replace')[:60]}: {why[:150]}".rstrip(": "))
