"""Telling engines of their mistakes: spamd by its command TELL (spamd/PROTOCOL), Rspamd by HTTP at its controller."""

from __future__ import annotations

import json
from enum import Enum
from typing import Final

from base.sealed import CannotUnseal, unseal
from quarantine.engines import rspamd, spamd
from quarantine.engines.answers import EngineFailed
from quarantine.engines.connections import exchange
from quarantine.models.addresses import parse_server
from quarantine.models.check import Check, CheckKind

LARGEST_REPLY: Final = 64 * 1024


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
    code, words = spamd.status_of(reply)
    if code != "0":
        raise EngineFailed(f"it answered {code} {words}; spamd learns only when it runs with --allow-tell")


def understand_rspamd(reply: bytes) -> None:
    """Raises EngineFailed when it has not learned."""
    code, status, body = rspamd.parts_of(reply)
    # 208: it has learned this message before.
    if code in ("200", "208"):
        return
    try:
        why = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        why = ""
    raise EngineFailed(f"it answered {status[:60]}: {why[:150]}".rstrip(": "))
