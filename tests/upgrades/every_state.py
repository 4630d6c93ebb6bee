"""Fills a new installation with mail in every state, and with at least one row in every table of ours.

`python -m tests.upgrades.every_state FILE`, in the environment of the installation. By the code that does it in life
wherever that can be had without other servers. FILE says of each message what has to become of it after an upgrade.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402 – models can be imported only now
from django.conf import settings as django_settings  # noqa: E402
from django.db import models  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts import actions as accounts_actions  # noqa: E402
from accounts import containing, history  # noqa: E402
from accounts.models import Domain, DomainUserDefaults, Role, User, UserDefaults  # noqa: E402
from quarantine import greylisting  # noqa: E402
from quarantine.items import transfer  # noqa: E402
from quarantine.items.transfer import Caught  # noqa: E402
from quarantine.models import AntispamSettings, Check, ItemKind, ListedSender, ReleaseNotice  # noqa: E402
from security import actions as security_actions  # noqa: E402
from spool import actions  # noqa: E402
from spool.flow import leases  # noqa: E402
from spool.message.envelope import Submission  # noqa: E402
from spool.models import (  # noqa: E402
    AlertEvent,
    AlertRule,
    Destination,
    DestinationDomain,
    DestinationEncryption,
    DestinationRule,
    DMARCSource,
    Entry,
    IncomingReport,
    ListLayout,
    MailReport,
    Outcome,
    ReportedTLSFailure,
    RestingHost,
    Route,
    SavedView,
    Settings,
    SourceAddress,
    SourceDay,
    TLSReport,
    TLSSessions,
)
from spool.models.recipient import Kind  # noqa: E402
from spool.places import contents  # noqa: E402
from spool.rows import contents as content_rows  # noqa: E402
from spool.rows import placement, statements  # noqa: E402
from spool.traffic import rollup  # noqa: E402
from tests.support.messages import a_message, a_submission  # noqa: E402
from tests.support.redis import RedisServer  # noqa: E402
from tests.support.spool_states import attempt, take_in  # noqa: E402
from throttling.models import HeldEntry, ThrottleEvent  # noqa: E402

HERE, FAR = "here.test", "far.test"
ANN, BOB, CLEO = (f"{name}@{HERE}" for name in ("ann", "bob", "cleo"))
PASSWORD = "correct-horse-battery-staple"
OURS = ("accounts", "spool", "quarantine", "security", "throttling")
ACTOR = actions.Actor.at_the_shell()
# What becomes of a message once workers run on the upgraded tables.
GOES, STAYS = "delivered", "kept"


class Mail:
    """Takes messages in, and notes what has to become of them."""

    def __init__(self) -> None:
        self.expected: dict[str, dict[str, Any]] = {}

    def one(
        self, state: str, to: Sequence[str] = (f"someone@{FAR}",), fate: str = GOES, left: Sequence[str] = ()
    ) -> Entry:
        """A message that is to come into `state`. `left` are the recipients that still wait, if not all do."""
        kind = Kind.LOCAL if to[0].endswith(HERE) else Kind.REMOTE
        [entry] = take_in(_submission(state, to, kind))
        self.expected[state] = {"file": entry.file_name, "fate": fate, "to": list(left or to)}
        return entry


def _submission(state: str, to: Sequence[str], kind: Kind) -> Submission:
    content = a_message(to, ANN, f"A message: {state} – é", size=900, test_id=state.replace(" ", "-"))
    submission = a_submission(ANN, to, kind, content=content)
    submission.envelope.auth_user = ANN
    return submission


def fill(mail: Mail) -> None:
    _accounts()
    _settings()
    _security()
    _messages(mail)
    _caught(mail)
    _history()
    rollup.roll_up()
    # The counts of what comes last are still to be added up.
    mail.one("new")
    mail.one("new and local", [ANN])
    _the_rest()


def _accounts() -> None:
    accounts_actions.change_defaults(UserDefaults.load(), max_recipients=77)
    here = accounts_actions.add_domain(HERE, description="Ours – für alle", catch_all=ANN, max_users=50)
    accounts_actions.change_defaults(DomainUserDefaults.of(here), mailbox_mb=123)
    accounts_actions.add_user(ANN, PASSWORD, role=Role.SYSTEM_ADMINISTRATOR, name="Ann Ängström")
    accounts_actions.add_user(BOB, PASSWORD, role=Role.DOMAIN_ADMINISTRATOR, messages_per_hour=100)
    accounts_actions.add_user(CLEO, PASSWORD, forward_to=f"cleo@{FAR}")
    accounts_actions.add_alias(f"sales@{HERE}", [ANN, BOB])
    accounts_actions.add_list(f"news@{HERE}", [ANN, f"reader@{FAR}"], owner=ANN)
    history.record(ACTOR, "limit", BOB, "messages per hour: 100")
    containing.contain(ACTOR, User.objects.get(email=CLEO))


def _settings() -> None:
    row = Settings.load()
    row.retry_intervals_minutes, row.trace_days, row.postmaster = "3, 9, 27", 400, ANN
    row.move_roots = str(django_settings.HOME.root / "moved")
    row.full_clean()
    row.save()
    spam = AntispamSettings.load()
    spam.keep_days, spam.greylist_seconds = 44, 60
    spam.save()
    ListedSender.objects.create(
        user=User.objects.get(email=ANN), pattern="shop.test", listing="block", created=timezone.now()
    )
    Check.objects.create(name="Words", kind="body", pattern="casino", weight=4.5)
    SourceDay.objects.create(source="127.0.0.1", site="Google", day=timezone.now().date(), sent=3)
    SourceAddress.objects.create(
        address="127.0.0.1", weight=2, senders="example.org", description="where it all leaves"
    )
    DestinationRule.objects.create(scope="domain", name="far.test", rate_per_minute=30, by_error="greylisting: 5, 10")
    Route.objects.create(domain="smarthost.test", host="127.0.0.1", port=9, description="the way out")
    Destination.objects.create(
        site="mx.slow.test", rate=30.0, reason="rate", since=timezone.now(), changed=timezone.now()
    )
    DestinationDomain.objects.create(domain="slow.test", site="mx.slow.test", seen=timezone.now())
    DestinationEncryption.objects.create(
        site="mx.slow.test", proof="none", host="mx.slow.test", domain="slow.test", at=timezone.now()
    )
    TLSSessions.objects.create(
        day=timezone.now().date(), domain="slow.test", policy_type="no-policy-found", policy_key="0", count=3
    )
    now = timezone.now()
    IncomingReport.objects.create(file_name="waiting.eml", received=now, content=b"Subject: Report\r\n\r\n")
    MailReport.objects.create(
        kind="dmarc", domain=HERE, reporter="far.test", report_id="1", begins=now, ends=now, received=now, good=1
    )
    ReportedTLSFailure.objects.create(
        domain=HERE, day=now.date(), reporter="far.test", policy_type="sts", result="certificate-expired", count=1
    )
    DMARCSource.objects.create(
        domain=HERE, day=now.date(), source_ip="192.0.2.9", dkim=True, spf=False, disposition="none", count=1
    )
    TLSReport.objects.create(day=timezone.now().date(), domain="slow.test", due=timezone.now() + timedelta(hours=3))
    RestingHost.objects.create(
        name="192.0.2.9:25 opportunistic  ",
        until=timezone.now(),
        seconds=60,
        reason="connection refused",
        domains=["dead.test"],
        error_groups=["connection refused"],
        changed=timezone.now(),
    )
    ListLayout.objects.create(user=User.objects.get(email=ANN), page="spool", columns=["sender"], density="compact")
    SavedView.objects.create(user=User.objects.get(email=ANN), page="spool", name="Mine", query="sender=ann")


def _security() -> None:
    security_actions.blacklist(ACTOR, "192.0.2.66/32", description="guesses passwords")
    security_actions.whitelist(ACTOR, "127.0.0.0/8", auth_bypass=True)
    security_actions.block_smtp(ACTOR, "spammer@bad.test")


def _messages(mail: Mail) -> None:
    """In the spool, the trash and the trace."""
    (django_settings.HOME.root / "moved").mkdir()
    attempt([mail.one("waiting"), mail.one("waiting long")])
    partly = mail.one("partly delivered", [f"one@{FAR}", f"two@{FAR}"], left=[f"two@{FAR}"])
    attempt([partly], only=[f"two@{FAR}"])
    held = mail.one("held", fate=STAYS)
    actions.perform("hold", [held.pk], ACTOR, reason="asked for by Bob")
    throttled = mail.one("throttled")
    deleted, moved = mail.one("deleted", fate=STAYS), mail.one("moved", fate=STAYS)
    actions.perform("delete", [deleted.pk], ACTOR)
    actions.perform("move", [moved.pk], ACTOR, folder=str(django_settings.HOME.root / "moved"))
    ended = [mail.one("delivered", fate=STAYS), mail.one("delivered too", fate=STAYS)]
    attempt(ended, "250 2.0.0 Ok", outcome=Outcome.DELIVERED)
    # It owes its sender a notice, which is a message of its own.
    bounced = mail.one("bounced", fate=STAYS)
    attempt([bounced], "550 5.1.1 No such user here", outcome=Outcome.BOUNCED)
    _into_parts(mail.one("in the database for good"))
    leased = mail.one("leased by a dead worker")
    Entry.objects.exclude(pk=leased.pk).filter(due_at__lte=timezone.now()).update(due_at=_soon())
    with statements.write_transaction():
        # The worker that took it was killed.
        leases.take("dead:1", timezone.now(), 1, straight=True, no_delay=True)
    now = timezone.now()
    later = now + timedelta(minutes=20)
    Entry.objects.filter(pk=throttled.pk).update(status="throttled", due_at=later, next_attempt=later)
    HeldEntry.objects.create(
        entry_id=throttled.pk, kind="user", name=BOB, metric="messages", cost=1, since=now, until=later
    )
    ThrottleEvent.objects.create(
        kind="user",
        name=BOB,
        domain=HERE,
        metric="messages",
        action="delay",
        amount=100,
        used=100,
        since=now,
        last=now,
        until=later,
    )


def _soon() -> datetime:
    return timezone.now() + timedelta(seconds=30)


def _into_parts(entry: Entry) -> None:
    """As a message too large for a row is there with MAILSPOOL_STORE=database."""
    source = contents.source_of(entry)
    with source.open("rb") as file:
        content = file.read()
    with statements.write_transaction():
        content_rows.remove([entry.pk])
        content_rows.insert_in_parts(entry.pk, [content[:500], content[500:]])
        placement.set_place(placement.Keeper.SPOOL, [entry.pk], "database")
    if isinstance(source, Path):
        source.unlink()


def _caught(mail: Mail) -> None:
    """In both quarantines."""
    for kind, why, score in ((ItemKind.SPAM, "12.5 points", 12.5), (ItemKind.VIRUS, "Eicar (clamd)", None)):
        entry = mail.one(f"{kind.value} in quarantine", fate=STAYS)
        Entry.objects.filter(pk=entry.pk).update(leased_by="scanner:1")
        found = [{"check": "Words", "kind": "body", "points": 12.5, "text": "casino", "failed": False, "seconds": 0.1}]
        transfer.take("scanner:1", [Caught(entry.pk, kind, why, score, found)], timezone.now(), 30)
    ReleaseNotice.objects.create(domain=HERE, at=timezone.now())
    triplet = greylisting.triplet_of("198.51.100.7", "stranger@elsewhere.test", ANN)
    greylisting.decide([triplet], AntispamSettings.load(), timezone.now())


def _history() -> None:
    rule = AlertRule.objects.create(name="Much waits", kind="depth", threshold=1000, mail_to=ANN)
    AlertEvent.objects.create(
        rule=rule,
        rule_name=rule.name,
        kind="depth",
        threshold=1000,
        value=10.0,
        highest=1200.0,
        began=timezone.now() - timedelta(hours=2),
        ended=timezone.now() - timedelta(hours=1),
    )
    User.objects.get(email=ANN).logins.create(
        protocol="imap", ip="192.0.2.9", day=timezone.now().date(), first=timezone.now(), last=timezone.now(), count=12
    )


def _the_rest() -> None:
    """A row in every table that has none yet, so that no table is forgotten when one is added."""
    for label in OURS:
        for model in apps.get_app_config(label).get_models(include_auto_created=True):
            if not model._default_manager.exists():
                model._default_manager.create(**_values(model))


def _values(model: type[models.Model]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in model._meta.local_concrete_fields:
        if field.has_default() or field.null or isinstance(field, models.AutoField):
            continue
        values[field.name] = _value(field)
    return values


def _value(field: models.Field) -> Any:
    if isinstance(field, models.ForeignKey):
        related = field.related_model
        return Domain.objects.get(name=HERE) if related is Domain else related._default_manager.first()
    if field.choices:
        return next(iter(field.choices))[0]
    if isinstance(field, models.DateTimeField):
        # Done with: nothing that comes after an upgrade is to act on it.
        return timezone.now() - timedelta(days=1)
    if isinstance(field, models.DateField):
        return timezone.now().date()
    if isinstance(field, models.CharField | models.TextField):
        return "x"
    if isinstance(field, models.BooleanField):
        return False
    if isinstance(field, models.JSONField):
        return {}
    return 1


if __name__ == "__main__":
    server = RedisServer(django_settings.HOME.redis, django_settings.HOME.redis_socket)
    server.start()
    try:
        mail = Mail()
        fill(mail)
        Path(sys.argv[1]).write_text(json.dumps(mail.expected, indent=1) + "\n")
    finally:
        server.stop()
