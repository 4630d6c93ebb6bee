"""IMAP, POP and LMTP connections of a Dovecot, by doveadm's HTTP API (`who` and `kick`).

Used when MAILSPOOL_DOVEADM_URL and MAILSPOOL_DOVEADM_KEY are set. Dovecot tells neither since when a connection is
there nor what came through it, and ends those of one user, from one address or not, all together.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.addresses import key_of
from accounts.connections.connection import Connection, Match, Unreachable

SECONDS = 3.0
_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
_NAMES = {"imap": "IMAP", "pop3": "POP3", "lmtp": "LMTP", "submission": "Dovecot submission", "sieve": "ManageSieve"}


def is_configured() -> bool:
    return bool(settings.MAILSPOOL_DOVEADM_URL)


def connections(match: Match) -> list[Connection]:
    """Those that fit. Raises Unreachable."""
    found = []
    for row in _call("who", {"separateConnections": True}):
        user, ip = key_of(str(row.get("username", ""))), _address(str(row.get("ip") or row.get("ips") or ""))
        service = str(row.get("service", ""))
        # What `kick` can be told, no more: user and address.
        id = f"{user}|{ip}"
        if match.fits(user=user, ip=ip, id=id):
            found.append(Connection(id, _NAMES.get(service, service), user, ip, None, None, "Dovecot"))
    return found


def end(match: Match) -> int:
    """End those that fit; how many there were. Raises Unreachable."""
    found = connections(match)
    for mask in _masks(match, found):
        _call("kick", {"mask": mask, "force": True})
    return len(found)


def _masks(match: Match, found: Iterable[Connection]) -> list[list[str]]:
    """What to tell `kick`: users of a listing that is a moment old, and all that match asks for in any case.

    A user is named even when `who` shows no connection, because one may just have begun.
    """
    if match.users and not (match.ip or match.id or match.domain):
        return [[user] for user in sorted(match.users)]
    return [list(pair) for pair in sorted({(c.user, c.ip) if c.ip else (c.user,) for c in found})]


def _address(text: str) -> str:
    """The first address of `who`'s list, without brackets; empty for a local connection."""
    first = text.strip("()").split()
    try:
        return str(ipaddress.ip_address(first[0])) if first else ""
    except ValueError:
        return ""


def _call(command: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer to one command. Raises Unreachable."""
    url = urlsplit(settings.MAILSPOOL_DOVEADM_URL)
    body = json.dumps([[command, parameters, "answer"]])
    key = base64.b64encode(settings.MAILSPOOL_DOVEADM_KEY.encode()).decode()
    headers = {"Authorization": f"X-Dovecot-API {key}", "Content-Type": "application/json"}
    maker = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    where = f"Dovecot at {url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
    try:
        connection = maker(url.hostname or "", url.port, timeout=SECONDS)
        try:
            connection.request("POST", url.path or "/doveadm/v1", body, headers)
            answer = connection.getresponse()
            content = answer.read(_LARGEST_ANSWER_BYTES)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(format_lazy(_("{where} does not answer ({error})."), where=where, error=error)) from error
    if answer.status != 200:
        said = f"{answer.status} {answer.reason}"
        if answer.status == 401:
            asked = _("{where} answers {said}; is MAILSPOOL_DOVEADM_KEY its doveadm_api_key?")
            raise Unreachable(format_lazy(asked, where=where, said=said))
        raise Unreachable(format_lazy(_("{where} answers {said}"), where=where, said=said))
    try:
        kind, result, _tag = json.loads(content)[0]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise Unreachable(format_lazy(_("{where} does not speak doveadm's HTTP API."), where=where)) from error
    if kind != "doveadmResponse":
        # 68 is doveadm's "nothing found": nobody of that mask was connected.
        if isinstance(result, dict) and result.get("exitCode") == 68:
            return []
        raise Unreachable(
            format_lazy(_("{where} refuses {command}: {result}"), where=where, command=command, result=result)
        )
    return [row for row in result if isinstance(row, dict)] if isinstance(result, list) else []
