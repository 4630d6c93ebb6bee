"""FUTURERELEASE (RFC 4865): a client that submits mail says when it is to leave. Text in, values out.

`HOLDFOR=86400` is so many seconds from now, `HOLDUNTIL=2026-12-24T18:00:00Z` a moment (RFC 3339); never both. What is
past, or no time at all, leaves at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from spool.smtpd.verbs.parameters import BadParameter

FOR, UNTIL = "HOLDFOR", "HOLDUNTIL"
PARAMETERS: Final = frozenset({FOR, UNTIL})
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
# RFC 3339 5.6. A leap second is not Python's.
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def offered(longest: timedelta, now: datetime) -> str:
    """The line of EHLO: for how many seconds, and until when, at most (RFC 4865 3)."""
    return f"FUTURERELEASE {int(longest.total_seconds())} {now + longest:%Y-%m-%dT%H:%M:%SZ}"


def release_of(parameters: Mapping[str, str], longest: timedelta, now: datetime) -> datetime | None:
    """When a message is to leave, in UTC; None for at once. Raises BadParameter."""
    if not PARAMETERS & parameters.keys():
        return None
    if parameters.keys() >= PARAMETERS:
        raise BadParameter("501 5.5.4 HOLDFOR and HOLDUNTIL exclude each other")
    moment = _after(parameters[FOR], now) if FOR in parameters else _moment(parameters[UNTIL])
    if moment > now + longest:
        days = longest.total_seconds() / 86_400
        raise BadParameter(f"501 5.5.4 A message can be scheduled for at most {days:g} days from now")
    return moment if moment > now else None


def _after(text: str, now: datetime) -> datetime:
    if not _SECONDS.fullmatch(text):
        raise BadParameter("501 5.5.4 HOLDFOR is a number of seconds")
    return now + timedelta(seconds=int(text))


def _moment(text: str) -> datetime:
    complaint = BadParameter("501 5.5.4 HOLDUNTIL is a time such as 2026-12-24T18:00:00Z")
    if not _MOMENT.fullmatch(text):
        raise complaint
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise complaint from None
