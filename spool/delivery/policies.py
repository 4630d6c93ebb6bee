"""MTA-STS policies for whoever shows them: what others find when they look for one (RFC 8461 3)."""

from __future__ import annotations

import asyncio

from spool.delivery.remote.mta_sts import HTTPS_PORT, parse_record
from spool.delivery.remote.policy_fetch import NotFetched, fetch

__all__ = ["NotFetched", "fetched_from", "parse_record"]


def fetched_from(host: str, ip: str) -> str:
    """The text that an address of a host serves by HTTPS, with a valid certificate. Raises NotFetched.

    For threads: it has an event loop of its own.
    """
    return asyncio.run(fetch(host, ip, HTTPS_PORT))
