"""MTA-STS (RFC 8461): a domain's word, by HTTPS, that its mail hosts encrypt with valid certificates, and who they are.

The policies that were found are kept for as long as they say: by each process, and in the database for those that start
later (policy_store.py). Each is fetched anew long before it ends, whatever its record says: who hides one or the other
would have to do so all the time (RFC 8461 10.2).
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from django.db import Error as DatabaseError
from django.utils import timezone

from spool.delivery.remote import policy_store
from spool.delivery.remote.mx import Exchangers, NoRoute
from spool.delivery.remote.policy_fetch import NotFetched, fetch
from spool.delivery.remote.tls_results import Result

log = logging.getLogger(__name__)

# How long an answer of the DNS is believed before it is asked again whether there is a new policy.
CHECK_SECONDS: Final = 300.0
# One that ends sooner is asked for then, but not for each message.
SOONEST_SECONDS: Final = 60.0
# How long a policy is kept before it is fetched anew, at the most; and after that has failed.
RENEW_SECONDS: Final = 86_400.0
RENEW_AGAIN_SECONDS: Final = 3600.0
# Of ten thousand domains all are kept in memory.
MOST_MX: Final = 100
LONGEST_AGE_SECONDS: Final = 31_557_600
HTTPS_PORT = 443
MOST_KEPT: Final = 10_000
# A database that could not be read is tried again after that.
READ_AGAIN_SECONDS: Final = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")

_database = ThreadPoolExecutor(1, thread_name_prefix="mta-sts-kept")


class InvalidPolicy(ValueError):
    """The text is no policy; the message says why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`mx` are names, or patterns such as `*.example.net`, in lower case. `mode` is enforce, testing or none."""

    mode: str
    mx: tuple[str, ...]
    max_age_seconds: int

    @property
    def enforced(self) -> bool:
        return self.mode == "enforce"

    def allows(self, host: str) -> bool:
        """Whether the policy names this mail host (RFC 8461 4.1): a pattern stands for exactly one label."""
        name = host.lower().rstrip(".")
        return any(name == mx or (mx.startswith("*.") and name.partition(".")[2] == mx[2:]) for mx in self.mx)


def parse_policy(text: str) -> Policy:
    """A policy as it was fetched (RFC 8461 3.2). Unknown fields are ignored. Raises InvalidPolicy."""
    fields: dict[str, list[str]] = {}
    for line in text.split("\n"):
        name, colon, value = line.rstrip("\r").partition(":")
        name = name.rstrip(" \t")
        if colon and _NAME.fullmatch(name):
            fields.setdefault(name.lower(), []).append(value.strip(" \t"))
        elif line.strip():
            raise InvalidPolicy(f"{line[:80]!r} is no field of a policy")
    if fields.get("version", [""])[0] != "STSv1":
        raise InvalidPolicy("its version is not STSv1")
    mode = fields.get("mode", [""])[0].lower()
    if mode not in ("enforce", "testing", "none"):
        raise InvalidPolicy(f"its mode {mode[:80]!r} is not enforce, testing or none")
    max_age = fields.get("max_age", [""])[0]
    if not re.fullmatch(r"[0-9]{1,10}", max_age):
        raise InvalidPolicy("its max_age is not a number of seconds")
    mx = tuple(name.lower().rstrip(".") for name in fields.get("mx", []))
    if mode != "none" and not mx:
        raise InvalidPolicy("it names no mx")
    if len(mx) > MOST_MX:
        raise InvalidPolicy(f"it names more than {MOST_MX} mx")
    return Policy(mode, mx, min(int(max_age), LONGEST_AGE_SECONDS))


def parse_record(texts: Sequence[str]) -> str | None:
    """The id in the TXT records at `_mta-sts.`; None when they are not exactly one of the right kind (3.1)."""
    records = [text for text in texts if re.match(r"v=STSv1[ \t]*;", text)]
    if len(records) != 1:
        return None
    for pair in records[0].split(";")[1:]:
        name, _, value = pair.strip().partition("=")
        if name == "id" and _ID.fullmatch(value):
            return value
    return None


class Known(NamedTuple):
    """What holds for a domain now. `trouble` is why a policy that is announced could not be had; `is_unsure`: there may
    be one, for some answer was missing."""

    policy: Policy | None
    trouble: Result = Result.GOOD
    is_unsure: bool = False


@dataclass(slots=True)
class _Kept:
    """What is known of a domain; moments are of the monotonic clock."""

    policy: Policy | None
    record_id: str
    expires: float
    check_at: float
    # When it is fetched anew.
    renew_at: float = 0.0
    # Why there is none, although the DNS announces one.
    trouble: Result = Result.GOOD
    is_unsure: bool = False


_kept: dict[str, _Kept] = {}
# When the database is to be read (monotonic clock): once in a process.
_read_at = 0.0


def forget() -> None:
    """Forget what this process knows, and read the database again."""
    global _read_at
    _kept.clear()
    _read_at = 0.0


async def policy_for(domain: str, exchangers: Exchangers) -> Known:
    """The policy that holds for mail to `domain`. Never raises: without an answer the last one holds on."""
    now = time.monotonic()
    if now >= _read_at:
        await asyncio.get_running_loop().run_in_executor(_database, _read)
    kept = _kept.get(domain)
    if kept is None or now >= kept.check_at:
        kept = await _checked(domain, kept, exchangers)
        if len(_kept) >= MOST_KEPT:
            forget()
        _kept[domain] = kept
    return Known(kept.policy) if now < kept.expires else Known(None, kept.trouble, kept.is_unsure)


def _read() -> None:
    """Learn what other processes, and those before, have found out. In the one thread for it: once, whoever asks."""
    global _read_at
    now = time.monotonic()
    if now < _read_at:
        return
    try:
        rows = policy_store.read()
    except DatabaseError as error:
        log.warning("the MTA-STS policies that were kept could not be read: %s", error)
        _read_at = now + READ_AGAIN_SECONDS
        return
    for row in rows:
        seconds = (row.expires - timezone.now()).total_seconds()
        policy = Policy(row.mode, tuple(row.mx), int(seconds))
        # Asked about at once: there may be a newer one.
        _kept.setdefault(row.domain, _Kept(policy, row.record_id, now + seconds, 0.0, now + _half(seconds)))
    _read_at = math.inf


async def _checked(domain: str, kept: _Kept | None, exchangers: Exchangers) -> _Kept:
    """Ask the DNS whether there is a policy that is not known yet, and fetch it."""
    now = time.monotonic()
    kept = kept or _Kept(None, "", 0.0, 0.0)
    record_id, is_unsure = None, False
    try:
        record_id = parse_record(await exchangers.texts(f"_mta-sts.{domain}"))
    except NoRoute as error:
        is_unsure = not error.permanent
    holds = now < kept.expires
    check_at = min(now + CHECK_SECONDS, max(kept.expires, now + SOONEST_SECONDS)) if holds else now + CHECK_SECONDS
    # A record that is gone ends no policy before its time (RFC 8461 5.1): that is what an attacker would do.
    is_known = record_id == kept.record_id or record_id is None
    if is_known and (now < kept.renew_at if holds else record_id is None):
        return replace(kept, check_at=check_at, trouble=Result.GOOD, is_unsure=is_unsure)
    record_id = record_id or kept.record_id
    try:
        policy = await _fetch(f"mta-sts.{domain}", exchangers)
    except (NoRoute, NotFetched, InvalidPolicy) as error:
        log.warning("the MTA-STS policy of %s could not be fetched: %s", domain, error)
        renew_at = now + RENEW_AGAIN_SECONDS
        return replace(kept, check_at=check_at, renew_at=renew_at, trouble=_trouble(error), is_unsure=True)
    try:
        await asyncio.get_running_loop().run_in_executor(
            _database, policy_store.write, domain, record_id, policy.mode, policy.mx, policy.max_age_seconds
        )
    except DatabaseError as error:
        log.warning("the MTA-STS policy of %s could not be kept: %s", domain, error)
    seconds = policy.max_age_seconds
    check_at = now + min(CHECK_SECONDS, max(seconds, SOONEST_SECONDS))
    return _Kept(policy, record_id, now + seconds, check_at, now + _half(seconds))


def _half(seconds: float) -> float:
    return min(RENEW_SECONDS, seconds / 2)


def _trouble(error: Exception) -> Result:
    if isinstance(error, InvalidPolicy):
        return Result.STS_INVALID
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return Result.STS_WEBPKI_INVALID
    return Result.STS_NOT_FETCHED


async def _fetch(host: str, exchangers: Exchangers) -> Policy:
    addresses = await exchangers.hosts(host, use_mx=False)
    return parse_policy(await fetch(host, addresses[0].ip, HTTPS_PORT))
