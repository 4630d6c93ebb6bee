"""Guessing passwords: counted over SMTP and the web alike, by account and by address, until a login is closed.

The database keeps the counts: they outlive restarts and hold for every process. A wrong password costs a few small
statements, beside Argon2; a right one none but once a day. The functions query: not for event loops.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.addresses import key_of
from base.action import record
from base.audit.subjects import Subject
from base.expiring import ExpiringSet
from security import lists
from security.addresses import parse_address
from security.models import BlockReason, FailedLogin, KnownLogin, LoginBlock, LoginRules
from spool.actions.actor import Actor
from spool.sockets.addresses import counted_as

log = logging.getLogger(__name__)

KNOWN_DAYS = 30
# How long a login that was right need not be written down again.
NOTED_SECONDS = 86_400.0
MOST_NOTED = 10_000
LONGEST_NAME = 254

_noted: ExpiringSet[tuple[str, str]] = ExpiringSet(NOTED_SECONDS, MOST_NOTED)


@dataclass(frozen=True, slots=True)
class Closed:
    """A login that is closed, and until when."""

    until: datetime

    @property
    def minutes(self) -> int:
        """The time left, at least one."""
        return max(1, math.ceil((self.until - timezone.now()).total_seconds() / 60))


def closed(account: str, ip: str) -> Closed | None:
    """Whether this login is closed, before any password is looked at: one query, and a second for who is attacked."""
    name, where = _name(account), _where(ip)
    blocks = list(
        LoginBlock.objects.filter(until__gt=timezone.now())
        .filter(Q(ip=where, account="") | Q(ip=where, account=name) | Q(ip="", account=name))
        .values_list("reason", "until")
    )
    until = [until for reason, until in blocks if reason == BlockReason.PAIR]
    until += [u for reason, u in blocks if reason == BlockReason.ADDRESS and not _is_let_off(ip)]
    if not until and any(reason == BlockReason.ACCOUNT for reason, _ in blocks) and not _is_known(name, where):
        until += [u for reason, u in blocks if reason == BlockReason.ACCOUNT]
    return Closed(max(until)) if until else None


def failed(account: str, ip: str, password: str, protocol: str) -> Closed | None:
    """Count a wrong password; the login that it has closed, if it has."""
    name, where, now = _name(account), _where(ip), timezone.now()
    FailedLogin.objects.create(at=now, protocol=protocol, ip=where, account=name, mark=_mark(name, password))
    rules = LoginRules.load()
    if not rules.enabled:
        return None
    # The same password again and again is a program that was not told of a new one; it counts once.
    recent = FailedLogin.objects.filter(at__gt=now - timedelta(minutes=rules.window_minutes)).order_by()
    tried = {
        BlockReason.PAIR: recent.filter(ip=where, account=name).values("mark").distinct().count(),
        BlockReason.ADDRESS: recent.filter(ip=where).values("account", "mark").distinct().count(),
        BlockReason.ACCOUNT: recent.filter(account=name).values("ip", "mark").distinct().count(),
    }
    if tried[BlockReason.PAIR] >= rules.pair_failures:
        _close(BlockReason.PAIR, where, name, tried[BlockReason.PAIR], protocol, rules)
    if tried[BlockReason.ADDRESS] >= rules.ip_failures and where and not _is_let_off(ip):
        _close(BlockReason.ADDRESS, where, "", tried[BlockReason.ADDRESS], protocol, rules)
    if tried[BlockReason.ACCOUNT] >= rules.account_failures and name:
        _close(BlockReason.ACCOUNT, "", name, tried[BlockReason.ACCOUNT], protocol, rules)
    return closed(account, ip)


def succeeded(account: str, ip: str) -> None:
    """A right password: earlier slips are forgotten, and the address is known from now on."""
    name, where = _name(account), _where(ip)
    if (name, where) in _noted:
        if FailedLogin.objects.filter(ip=where, account=name).exists():
            FailedLogin.objects.filter(ip=where, account=name).delete()
        return
    FailedLogin.objects.filter(ip=where, account=name).delete()
    KnownLogin.objects.update_or_create(account=name, ip=where, defaults={"last": timezone.now()})
    _noted.add((name, where))


def forget(now: datetime) -> None:
    """Remove what is too old to count."""
    FailedLogin.objects.filter(at__lt=now - timedelta(days=1)).delete()
    month = now - timedelta(days=KNOWN_DAYS)
    KnownLogin.objects.filter(last__lt=month).delete()
    LoginBlock.objects.filter(until__lt=month).delete()


def forget_noted() -> None:
    """Drop what this process remembers."""
    _noted.clear()


@transaction.atomic
def _close(reason: BlockReason, ip: str, account: str, failures: int, protocol: str, rules: LoginRules) -> None:
    now = timezone.now()
    until = now + timedelta(minutes=rules.block_minutes)
    row = LoginBlock.objects.select_for_update().filter(ip=ip, account=account).first()
    if row is not None and row.until > now:
        row.failures, row.protocol = failures, protocol
        row.save(update_fields=["failures", "protocol"])
        return
    if row is None:
        row = LoginBlock(ip=ip, account=account, times=0)
    row.reason, row.failures, row.protocol, row.since, row.until = reason, failures, protocol, now, until
    row.times += 1
    row.save()
    closed = {"minutes": rules.block_minutes, "failures": failures, "protocol": str(protocol)}
    about = Subject("login block", str(row), row.pk)
    record(Actor.system(), "login-block", str(row), parameters=closed, about=about)


def _is_known(account: str, ip: str) -> bool:
    return KnownLogin.objects.filter(account=account, ip=ip).exists()


def _is_let_off(ip: str) -> bool:
    return lists.current().skips_login_protection(ip)


def _name(account: str) -> str:
    # Neither database stores a NUL in text.
    return key_of(account.strip()).replace("\0", "\ufffd")[:LONGEST_NAME]


def _where(ip: str) -> str:
    """The address, or of IPv6 the network that one customer gets."""
    address = parse_address(ip)
    return ip[:43] if address is None else counted_as(str(address))


def _mark(account: str, password: str) -> int:
    key = hmac.digest(settings.SECRET_KEY.encode(), b"failed logins", hashlib.sha256)
    text = f"{account}\0{password}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hmac.digest(key, text, hashlib.sha256)[:2])
