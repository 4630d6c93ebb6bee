"""Opening a connection with as much TLS as is asked for, and counting how that went (RFC 8460).

Nothing is counted where no report is to be made: then `Peer.asked` is None.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol, TypeAlias

from base.expiring import ExpiringDict
from spool.delivery.remote.client import ConnectionFailed, OutboundConnection, TLSFailed
from spool.delivery.remote.tls_results import NOT_NAMED, AskedPolicy, Result, Session
from spool.delivery.remote.tls_sessions import Sessions
from spool.models.route import TLSPolicy

# For how long a host that would fail a policy that is being tried is not put to the test again: that is a connection.
TESTED_SECONDS: Final = 3600.0
# By address, name and policy: what failed, and why.
_failing: ExpiringDict[tuple[str, str, str], tuple[Result, str]] = ExpiringDict(TESTED_SECONDS)
# Hosts that TLS failed with a moment ago, by address: what failed, and why.
FailedTLS: TypeAlias = ExpiringDict[str, tuple[Result, str]]


class Counted(Protocol):
    """What of a transport is wanted here."""

    clear_text_only: FailedTLS
    sessions: Sessions


async def open_counted(connection: OutboundConnection, domain: str, seconds: float, transport: Counted) -> None:
    """Open it for mail to `domain`. Raises ConnectionFailed."""
    asked = connection.peer.asked
    if asked is None:
        await _open_as_allowed(connection, seconds, transport.clear_text_only)
        return
    failure: tuple[Result, str] | None = None
    try:
        if asked.tested:
            failure = await _open_to_test(connection, asked, seconds, transport.clear_text_only)
        else:
            failure = await _open_as_allowed(connection, seconds, transport.clear_text_only)
            if asked.trouble is not Result.GOOD:
                failure = asked.trouble, ""
    except ConnectionFailed as error:
        if error.tls_result is not Result.GOOD:
            _count(connection, domain, asked, (error.tls_result, error.text), transport.sessions)
        raise
    if failure is not None or connection.tls:
        _count(connection, domain, asked, failure or (Result.GOOD, ""), transport.sessions)


async def _open_as_allowed(
    connection: OutboundConnection, seconds: float, clear_text_only: FailedTLS
) -> tuple[Result, str] | None:
    """Where TLS is only an offer and fails, do without it and remember for a while; what was wrong with it then.

    A session without it for what was remembered is one more that failed for that (RFC 8460 4.3).
    """
    peer = connection.peer
    may_do_without = peer.tls is TLSPolicy.OPPORTUNISTIC
    # What was learned of an address for one domain must not have another domain's mail go unencrypted.
    failed = clear_text_only.get(peer.ip) if may_do_without else None
    try:
        await connection.open(seconds, allow_tls=failed is None)
    except TLSFailed as error:
        if not may_do_without:
            raise
        failed = clear_text_only.keep(peer.ip, (error.tls_result, error.text))
        await connection.open(seconds, allow_tls=False)
    if failed is not None or connection.tls:
        return failed
    return Result.NO_STARTTLS, ""


async def _open_to_test(
    connection: OutboundConnection, asked: AskedPolicy, seconds: float, clear_text_only: FailedTLS
) -> tuple[Result, str] | None:
    """Open it as an MTA-STS policy that is being tried asks for, and if that fails, as if there were none."""
    peer = connection.peer
    name = peer.ip, peer.name, asked.key
    failure = (Result.FAILED, NOT_NAMED) if not _names(asked, peer.name) else _failing.get(name)
    if failure is None and peer.tls is not TLSPolicy.VERIFY:
        connection.peer = replace(peer, tls=TLSPolicy.VERIFY)
        try:
            await connection.open(seconds)
        except ConnectionFailed as error:
            if error.tls_result is Result.GOOD:
                raise
            failure = _failing.keep(name, (error.tls_result, error.text))
        else:
            return None
        finally:
            connection.peer = peer
    instead = await _open_as_allowed(connection, seconds, clear_text_only)
    return failure or instead


def _names(asked: AskedPolicy, host: str) -> bool:
    """Whether a policy names this mail host: a pattern stands for exactly one label (RFC 8461 4.1)."""
    return any(host == mx or (mx.startswith("*.") and host.partition(".")[2] == mx[2:]) for mx in asked.mx)


def _count(
    connection: OutboundConnection, domain: str, asked: AskedPolicy, how: tuple[Result, str], sessions: Sessions
) -> None:
    peer, (result, reason) = connection.peer, how
    sessions.count(Session(domain, asked, result, peer.name, peer.ip, connection.source, reason))


def forget() -> None:
    """Put every host to the test again."""
    _failing.clear()
