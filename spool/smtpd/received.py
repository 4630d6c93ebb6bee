"""What a message shows of its way: the Received line that we add."""

from __future__ import annotations

import ipaddress
import secrets
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

from spool.message.header import Header, prepended


@dataclass(frozen=True, slots=True)
class Way:
    """How a message came here. `recipient` is named when it is the only one: others must not learn of each other."""

    ehlo_name: str
    client_ip: str
    hostname: str
    protocol: str
    recipient: str = ""


def protocol_of(*, extended: bool, utf8: bool, encrypted: bool, authenticated: bool) -> str:
    """The word for Received's `with` (RFC 3848, RFC 6531 4.3)."""
    if not extended:
        return "SMTP"
    return f"{'UTF8SMTP' if utf8 else 'ESMTP'}{'S' if encrypted else ''}{'A' if authenticated else ''}"


def trace_header(way: Way, head: bytes, *, complete: bool) -> bytes:
    """The Received line (RFC 5321 4.4); `complete` adds what a submission may lack (RFC 6409 8).

    `head` is the message's header block, or as much of the message as holds it.
    """
    date = _date(int(time.time()))
    only = f"\r\n\tfor <{way.recipient}>" if way.recipient else ""
    name = "".join(c for c in way.ehlo_name if c.isalnum() or c in ".-_:[]") or "unknown"
    lines = (
        f"Received: from {name} ({_literal(way.client_ip)})\r\n\tby {way.hostname} (Mailspool) with {way.protocol}"
        f" id {secrets.token_hex(8)}{only};\r\n\t{date}\r\n"
    )
    if complete:
        fields = Header.of(head)
        lines += "" if "date" in fields else f"Date: {date}\r\n"
        lines += "" if "message-id" in fields else f"Message-ID: <{secrets.token_hex(16)}@{way.hostname}>\r\n"
    return prepended(lines.encode(), head)


@lru_cache(1)
def _date(second: int) -> str:
    """RFC 5322's date; many messages come in the same second."""
    return formatdate(second, localtime=True)


def _literal(ip: str) -> str:
    """An address literal (RFC 5321 4.1.3)."""
    if ":" not in ip:
        return f"[{ip}]"
    return f"[IPv6:{ipaddress.ip_address(ip.partition('%')[0])}]"
