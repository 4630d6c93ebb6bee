"""The daily mail that tells of what was quarantined: to domain administrators, to the users concerned, or both.

Administrators get a link with each of their domain's messages by which it is resent. Users are only told: whoever has
stolen a user's password must not let their own spam out. For infected messages nobody gets a link.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from django.conf import settings as django_settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import ngettext

from accounts.addresses import domain_of, key_of
from accounts.models import Role, User
from base.edges import one_of_many
from base.numbers import grouped
from base.phrases import first_few
from quarantine.actions.release import token_for
from quarantine.models.antispam import AntispamSettings, DigestFor, DigestMark
from quarantine.models.item import Item, ItemKind, ItemState
from spool import languages
from spool.addressing import RefusedRecipient, accept
from spool.flow import intake
from spool.message.envelope import Envelope, Submission
from spool.models.entry import Origin
from spool.models.settings import current

log = logging.getLogger(__name__)

# A digest is to be read; the console has them all.
MOST_LISTED = 100
MOST_ADDRESSES = 5
_CHUNK = 2_000


def send_due(now: datetime) -> int:
    """Send today's digests, unless that was done or it is not time yet; how many. One process does it."""
    settings = AntispamSettings.load()
    local = timezone.localtime(now)
    if settings.digest == DigestFor.NOBODY or local.hour < settings.digest_hour:
        return 0
    mark, _ = DigestMark.objects.get_or_create(pk=1)
    today = local.date()
    if not DigestMark.objects.filter(pk=1).exclude(day=today).update(day=today):
        return 0
    newest = Item.objects.order_by("-id").values_list("id", flat=True).first() or 0
    sent = 0
    for user, items in _concerned(settings, mark.last_item, newest):
        # It tells of what strangers wrote.
        with one_of_many(log, "%s gets no digest", user.email):
            sent += _send(user, items, settings, now)
    # A crash before this has tomorrow's digest tell of these messages again.
    DigestMark.objects.filter(pk=1).update(last_item=newest)
    return sent


def _concerned(settings: AntispamSettings, after: int, newest: int) -> Iterable[tuple[User, list[Item]]]:
    """Each person with what they are told of."""
    by_address: dict[str, list[Item]] = defaultdict(list)
    by_domain: dict[str, list[Item]] = defaultdict(list)
    while True:
        # What somebody blocks they do not want to hear of every day, and its sender is not told.
        fresh = Item.objects.filter(id__gt=after, id__lte=newest, state=ItemState.HELD, blocked_by="")
        rows = list(fresh.order_by("id").defer("entry", "recipients", "findings")[:_CHUNK])
        if not rows:
            break
        after = rows[-1].id
        for item in rows:
            addresses = {key_of(item.sender), *map(key_of, item.addresses.splitlines())} - {""}
            for address in addresses:
                by_address[address].append(item)
            for domain in {address.rpartition("@")[2] for address in addresses}:
                by_domain[domain].append(item)
    if settings.digest in (DigestFor.ADMINISTRATORS, DigestFor.BOTH):
        administrators = User.objects.select_related("domain").filter(role=Role.DOMAIN_ADMINISTRATOR)
        for user in administrators.filter(domain__name__in=list(by_domain)):
            assert user.domain is not None
            yield user, by_domain[user.domain.name]
    if settings.digest in (DigestFor.USERS, DigestFor.BOTH):
        told = User.objects.select_related("domain").filter(role=Role.USER)
        known = sorted(by_address)
        for start in range(0, len(known), _CHUNK):
            for user in told.filter(email__in=known[start : start + _CHUNK]):
                yield user, by_address[user.email]


def _send(user: User, items: Sequence[Item], settings: AntispamSettings, now: datetime) -> bool:
    if not user.is_active:
        return False
    try:
        envelope = Envelope("", accept(user.email, notify="NEVER"), origin=Origin.DSN)
        intake.accept([Submission(envelope, _message(user, items, settings, now))])
    except (RefusedRecipient, intake.IntakeError) as error:
        log.warning("%s gets no digest: %s", user.email, getattr(error, "reply", "") or error)
        return False
    return True


def _message(user: User, items: Sequence[Item], settings: AntispamSettings, now: datetime) -> bytes:
    with translation.override(languages.of_choice(user.language)):
        return _in_language(user, items, settings, now)


def _in_language(user: User, items: Sequence[Item], settings: AntispamSettings, now: datetime) -> bytes:
    host = django_settings.MAILSPOOL_HOSTNAME
    count = len(items)
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Mailspool <{current().postmaster or f'postmaster@{host}'}>"
    message["To"] = user.email
    message["Subject"] = ngettext("Quarantined: %(number)s message", "Quarantined: %(number)s messages", count) % {
        "number": grouped(count)
    }
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=host)
    # RFC 3834: no vacation notice may answer it.
    message["Auto-Submitted"] = "auto-generated"
    context = {
        "user": user,
        "lines": [(item, _recipients(item, user), _link(item, user, settings)) for item in items[-MOST_LISTED:][::-1]],
        "count": count,
        "more": max(0, count - MOST_LISTED),
        "host": host,
        "is_administrator": user.role != Role.USER,
    }
    message.set_content(render_to_string("quarantine/digest.txt", context))
    message.add_alternative(render_to_string("quarantine/digest.html", context), subtype="html")
    return message.as_bytes()


def _recipients(item: Item, user: User) -> str:
    """Those whom the reader may know of: all of a message of their own, or of their domain for its administrator;
    otherwise only themselves, or those of the domain. Who else got it may have been a blind copy."""
    addresses = item.addresses.splitlines()
    own = user.domain.name if user.domain is not None else ""
    if user.role == Role.USER and key_of(item.sender) != user.email:
        addresses = [address for address in addresses if key_of(address) == user.email]
    elif user.role != Role.USER and item.sender_domain != own:
        addresses = [address for address in addresses if domain_of(address) == own]
    return first_few(addresses, MOST_ADDRESSES)


def _link(item: Item, user: User, settings: AntispamSettings) -> str:
    own = user.domain.name if user.domain is not None else ""
    if item.kind != ItemKind.SPAM or user.role == Role.USER or item.sender_domain != own or not settings.console_url:
        return ""
    return settings.console_url.rstrip("/") + reverse("quarantine_release", args=[token_for(item, user)])
