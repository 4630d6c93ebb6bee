"""A key's life: prepared, published, active, retiring, revoked.

None signs before each of the domain's name servers has shown it for as long as resolvers may have kept an older answer,
and one whose record is gone signs no more. A retired one's record stays until the last message that it has signed has
been delivered or given up, and for a week more.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.addresses import enclosing
from accounts.models import Domain
from base.background import Background
from base.edges import one_of_many
from base.facts import NOTHING, Fact
from base.name_servers import NameServers, NoAnswer
from base.sealed import seal
from spool.models.dkim import DkimKey, KeyAlgorithm, KeyState
from spool.models.settings import current
from spool.signing import ring
from spool.signing.published import Found, look_for
from spool.signing.signer import PrivateKey

log = logging.getLogger(__name__)

RSA_BITS: Final = 2048
# What is believed of a server that tells a TTL of a few seconds.
SHORTEST_WAIT: Final = timedelta(minutes=5)
AFTER_RETIREMENT: Final = timedelta(days=7)
# Between two looks: at those that wait for it, and at the others.
_SOON, _LATER = timedelta(minutes=10), timedelta(hours=6)
# One may take 20 s, and others are due meanwhile.
MOST_AT_A_TIME: Final = 20


class SelectorTaken(ValueError):
    """The domain has a key of that selector."""


def make(domain: str, algorithm: str, now: datetime, selector: str = "") -> DkimKey:
    """A new key, prepared: its record has to be put into the DNS. Raises SelectorTaken."""
    private: PrivateKey
    if algorithm == KeyAlgorithm.RSA:
        private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        private = ed25519.Ed25519PrivateKey.generate()
        # RFC 8463 4: the bare key.
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    key = DkimKey(
        domain=domain,
        selector=selector or _free_selector(domain, algorithm, now),
        algorithm=algorithm,
        sealed_private_key=seal(pem),
        public_key=base64.b64encode(public).decode(),
        created=now,
    )
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError as error:
        raise SelectorTaken(f"{domain} has a key with the selector {key.selector} already.") from error
    return key


def _free_selector(domain: str, algorithm: str, now: datetime) -> str:
    """ "202611r", "202611r2", …: nobody has to look it up, and no selector is used twice."""
    stem = f"{now:%Y%m}{algorithm[0]}"
    taken = set(DkimKey.objects.filter(domain=domain, selector__startswith=stem).values_list("selector", flat=True))
    return next(
        name for number in range(1, len(taken) + 2) if (name := stem + (str(number) * (number > 1))) not in taken
    )


def domains_of_host() -> Iterator[str]:
    """This server's own name, and the domains that it is in: its notices may be signed by any of them."""
    return enclosing(django_settings.MAILSPOOL_HOSTNAME.lower().rstrip("."))


def keys_of(*domains: str) -> list[DkimKey]:
    """The keys of domains whose records have to be in the DNS."""
    return list(DkimKey.objects.filter(domain__in=domains).exclude(state=KeyState.REVOKED))


def servers_of_domains() -> NameServers:
    """Those that the resolver of this server finds."""
    return NameServers(str(django_settings.MAILSPOOL_DNS))


def look(key: DkimKey, now: datetime, servers: NameServers | None = None) -> Fact:
    """Look for a key's record, and go on to the state that follows; what is wrong, empty if nothing is.

    When the DNS gives no answer nothing changes but what is said.
    """
    try:
        found = look_for(key, servers or servers_of_domains())
    except NoAnswer as error:
        _note(key, error.fact, now)
        key.save(update_fields=["checked", "found", "found_fact"])
        return error.fact
    with transaction.atomic():
        # Another program may have gone on meanwhile.
        held = DkimKey.objects.select_for_update().filter(pk=key.pk).first()
        if held is None:
            return NOTHING
        _go_on(held, found, now)
        _note(held, found.problem, now)
        held.ttl_seconds = min(max(held.ttl_seconds, found.ttl_seconds), 7 * 86400)
        # What was sent for it is noted by others meanwhile.
        held.save(update_fields=["state", "published", "active", "checked", "found", "found_fact", "ttl_seconds"])
    key.refresh_from_db()
    ring.forget()
    return found.problem


def _note(key: DkimKey, wrong: Fact, now: datetime) -> None:
    key.checked, key.found, key.found_fact = now, wrong.english[:300], wrong.kept if wrong else None


def _go_on(key: DkimKey, found: Found, now: datetime) -> None:
    if found.problem:
        if key.state == KeyState.ACTIVE:
            log.error("the DKIM key %s signs no more: %s", key.name, found.problem.english)
        if key.state in (KeyState.ACTIVE, KeyState.PUBLISHED):
            key.state, key.published = KeyState.PREPARED, None
    elif key.state == KeyState.PREPARED:
        key.state, key.published = KeyState.PUBLISHED, now
    elif key.state == KeyState.PUBLISHED and key.published is not None:
        kept = 2 * timedelta(seconds=max(key.ttl_seconds, found.ttl_seconds))
        if now - key.published >= max(kept, SHORTEST_WAIT):
            _activate(key, now)


def _activate(key: DkimKey, now: datetime) -> None:
    key.state, key.active = KeyState.ACTIVE, now
    # Also one whose record was gone for a while: its mail is on its way, and it does not come back in its turn.
    is_followed = Q(state=KeyState.ACTIVE) | Q(
        state__in=[KeyState.PREPARED, KeyState.PUBLISHED], active__isnull=False, created__lt=key.created
    )
    before = DkimKey.objects.filter(is_followed, domain=key.domain, algorithm=key.algorithm)
    before.exclude(pk=key.pk).update(state=KeyState.RETIRING, retired=now)
    log.info("the DKIM key %s signs from now on", key.name)


def retire(key: DkimKey, now: datetime) -> None:
    """Have a key sign no more. One that never did is revoked at once."""
    key.state = KeyState.RETIRING if key.active else KeyState.REVOKED
    key.retired = now
    if key.state == KeyState.REVOKED:
        key.sealed_private_key = ""
    key.save()
    ring.forget()


def sweep() -> None:
    """SPOOL_SWEEPS: have the records looked for whose turn it is. The sweep does not wait for their name servers."""
    if _due(timezone.now()).exists():
        looker.start()


def look_at_due(now: datetime) -> None:
    """Look for the records whose turn it is, a few of them."""
    for key in _due(now).order_by(F("checked").asc(nulls_first=True))[:MOST_AT_A_TIME]:
        with one_of_many(log, "the record of the DKIM key %s could not be looked for", key.name) as edge:
            look(key, now)
        if edge.has_failed:
            DkimKey.objects.filter(pk=key.pk).update(checked=now)


looker: Final = Background("looking for DKIM records", lambda: look_at_due(timezone.now()))


def _due(now: datetime) -> QuerySet[DkimKey]:
    due = DkimKey.objects.filter(
        Q(checked=None)
        | Q(state__in=[KeyState.PREPARED, KeyState.PUBLISHED], checked__lt=now - _SOON)
        | Q(state__in=[KeyState.ACTIVE, KeyState.RETIRING], checked__lt=now - _LATER)
    )
    return due.exclude(state=KeyState.REVOKED)


def tidy(now: datetime) -> None:
    """SPOOL_HOUSEKEEPING: retire keys of domains that are gone, revoke those whose time is over, and make successors
    that are due."""
    for key in _of_nobody():
        log.warning("the DKIM key %s signs no more: %s is no domain of this server any more", key.name, key.domain)
        retire(key, now)
    settings = current()
    over = now - settings.lifetime - AFTER_RETIREMENT
    DkimKey.objects.filter(state=KeyState.RETIRING, retired__lt=over).update(
        state=KeyState.REVOKED, sealed_private_key=""
    )
    if settings.dkim_rotation_days:
        _succeed(now, now - timedelta(days=settings.dkim_rotation_days))


def _of_nobody() -> list[DkimKey]:
    """Keys of domains that were removed; this server's own name may be in one that is none of ours."""
    in_use = DkimKey.objects.exclude(state__in=[KeyState.RETIRING, KeyState.REVOKED])
    in_use = in_use.exclude(domain__in=list(domains_of_host()))
    return list(in_use.exclude(domain__in=Domain.objects.values("name")))


def _succeed(now: datetime, before: datetime) -> None:
    old = DkimKey.objects.filter(state=KeyState.ACTIVE, active__lt=before)
    waiting = set(
        DkimKey.objects.filter(state__in=[KeyState.PREPARED, KeyState.PUBLISHED]).values_list("domain", "algorithm")
    )
    for key in old:
        if (key.domain, key.algorithm) not in waiting:
            made = make(key.domain, key.algorithm, now)
            log.info("the DKIM key %s waits for its record: it follows %s", made.name, key.name)
