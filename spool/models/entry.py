"""One message in the spool."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from spool.models.key_column import key_column, keyed


class Priority(models.IntegerChoices):
    """Which entries a worker takes first."""

    LOW = 1, _("Low")
    NORMAL = 2, _("Normal")
    HIGH = 3, _("High")


class Direction(models.IntegerChoices):
    """Outbound has at least one recipient elsewhere."""

    INBOUND = 1, _("Inbound")
    OUTBOUND = 2, _("Outbound")


class Status(models.TextChoices):
    """Where an entry is on its way, in the spec's words. Scheduled is what waits for the time that its sender chose."""

    SCHEDULED = "scheduled", _("Scheduled")
    DELIVERY_DELAY = "delay", _("Delivery Delay")
    VIRUS_CHECK = "virus", _("Virus Check")
    SPAM_CHECK = "spam", _("Spam Check")
    THROTTLED = "throttled", _("Throttled")
    LOCAL_DELIVERY = "local", _("Local Delivery")
    REMOTE_DELIVERY = "remote", _("Remote Delivery")
    WAITING = "waiting", _("Waiting to Deliver")


# What an entry has that a worker took up, and that has not come to rest since.
ON_THEIR_WAY = (Status.LOCAL_DELIVERY, Status.REMOTE_DELIVERY)


class Origin(models.TextChoices):
    """By which door a message came."""

    SMTP = "smtp", _("SMTP")
    DROP = "drop", _("Drop folder")
    COMMAND = "command", _("Command line")
    FORWARD = "forward", _("Forwarding")
    LIST = "list", _("Mailing list")
    DSN = "dsn", _("Delivery status notification")


# The doors by which somebody hands a message in; what came by the others this server has made itself.
HANDED_IN = frozenset({Origin.SMTP.value, Origin.DROP.value, Origin.COMMAND.value})


def counted_from(created: datetime, release_at: datetime | None) -> datetime:
    """Since when a message could have been delivered: its lifetime and its lateness count from then on."""
    return created if release_at is None else max(created, release_at)


class EntryQuerySet(models.QuerySet["Entry"]):
    """The spool in the words of its users."""

    def due(self, now: datetime) -> Self:
        # Every priority by name: what is due is found by the index of leases, which has the priority first.
        return self.filter(priority__in=Priority.values, due_at__lte=now)

    def waiting(self) -> Self:
        return self.filter(status=Status.WAITING)

    def held(self) -> Self:
        return self.filter(hold=True)

    def leased(self) -> Self:
        return self.exclude(leased_by="")

    def from_sender(self, address: str) -> Self:
        return self.filter(sender=address)

    def from_sender_domain(self, domain: str) -> Self:
        return self.filter(sender_domain=domain)


class EntryColumns(models.Model):
    """The columns of an entry, which the trash has too.

    `sender` is what the message goes on with, as it was written. Whose it is, is told by its key (accounts.addresses):
    `sender` itself, or `sender_key` where that is not null.
    `due_at` is the one column that says when a worker may take the entry: its next attempt, or, while it is leased,
    the moment the lease lapses. It is null while the entry is on hold, so that no worker sees it.
    `turn_at` is there while the entry is more than its sender's share (spool.flow.shares): the same moment, but before it
    workers that find nothing else take the entry, from `next_attempt` on.
    """

    file_name = models.CharField(_("file name"), max_length=40)
    subspool = models.CharField(_("spool path"), max_length=60)
    sender = models.CharField(
        max_length=320, blank=True, default="", help_text="Reverse-path; empty for the null sender."
    )
    sender_domain = models.CharField(max_length=255, blank=True, default="")
    sender_key = key_column("The sender's key where it is written otherwise.")
    auth_user = models.CharField(_("authenticated user"), max_length=254, blank=True, default="")
    client_ip = models.CharField(_("client IP"), max_length=45, blank=True, default="")
    ehlo_name = models.CharField(_("EHLO name"), max_length=255, blank=True, default="")
    tls = models.CharField(
        _("TLS"), max_length=60, blank=True, default="", help_text="Protocol and cipher of the session it came in by."
    )
    port = models.PositiveIntegerField(default=0, help_text="Port it came in by; 0 when it was none.")
    direction = models.PositiveSmallIntegerField(choices=Direction)
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.SMTP)
    subject = models.CharField(max_length=255, blank=True, default="")
    message_id = models.CharField(_("Message-ID"), max_length=255, blank=True, default="")
    size_bytes = models.BigIntegerField(_("size"))
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.NORMAL)
    status = models.CharField(max_length=10, choices=Status, default=Status.DELIVERY_DELAY)
    attempts = models.PositiveIntegerField(default=0, help_text="Finished delivery attempts.")
    dns_failures = models.PositiveIntegerField(default=0, help_text="Attempts in a row that ended at the DNS.")
    recipients_total = models.PositiveIntegerField(_("recipients"))
    recipients_done = models.PositiveIntegerField(_("delivered"), default=0)
    created = models.DateTimeField(_("in spool since"))
    next_attempt = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    turn_at = models.DateTimeField(
        _("its sender's turn"), null=True, blank=True, help_text="Set while it is more than its sender's share."
    )
    release_at = models.DateTimeField(
        _("scheduled for"),
        null=True,
        blank=True,
        help_text="When its sender wants it to leave (RFC 4865); its age counts from then on.",
    )
    leased_by = models.CharField(_("worked on by"), max_length=60, blank=True, default="")
    hold = models.BooleanField(_("on hold"), default=False)
    hold_reason = models.CharField(max_length=255, blank=True, default="")
    hold_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True, default="")
    error_group = models.CharField(
        max_length=120, blank=True, default="", help_text="The last error without what differs from message to message."
    )
    next_hop = models.CharField(
        max_length=255, blank=True, default="", help_text="Host, or host:port, that gets it instead of its usual route."
    )
    failures = models.PositiveSmallIntegerField(default=0, help_text="Times that working on it raised an error.")
    traceback = models.TextField(blank=True, default="")
    envid = models.CharField(max_length=100, blank=True, default="", help_text="RFC 3461 ENVID, as xtext.")
    ret = models.CharField(max_length=4, blank=True, default="", help_text="RFC 3461 RET: FULL or HDRS.")
    smtputf8 = models.BooleanField(default=False)
    eight_bit = models.BooleanField(default=False, help_text="The client said BODY=8BITMIME.")
    delay_notified = models.BooleanField(default=False)
    tls_wish = models.CharField(
        max_length=8,
        blank=True,
        default="",
        db_default="",
        help_text="RFC 8689: required by REQUIRETLS, optional by TLS-Required: No.",
    )
    ours = models.BooleanField(
        null=True,
        help_text="From one of us: who logged in or may send anywhere, or a door of this machine. Unknown when empty.",
    )
    machine = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="Which machine took it in, where there are several.",
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.file_name


class Entry(EntryColumns):
    """One message on its way. Its bytes are the file `<home>/spool/<subspool>/<file_name>`."""

    objects: ClassVar[models.Manager[Entry]] = EntryQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = _("entries")
        # Not unique=True: on PostgreSQL that makes a second index, for LIKE, which nothing here needs.
        constraints = [models.UniqueConstraint(fields=["file_name"], name="entry_file_name")]
        # What every message pays for comes first. The rest is partial: mail that leaves at its first attempt is in none.
        indexes = [
            models.Index(fields=["priority", "due_at"], name="entry_lease", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["priority", "due_at"], name="entry_lease_local", condition=Q(direction=1, due_at__isnull=False)
            ),
            models.Index(
                fields=["direction", "priority", "turn_at"], name="entry_turn", condition=Q(turn_at__isnull=False)
            ),
            models.Index(fields=["sender_domain", "sender", "id"], name="entry_sender"),
            keyed("entry_sender_key", "sender_key", "id"),
            models.Index(fields=["client_ip", "id"], name="entry_client_ip"),
            models.Index(fields=["message_id"], name="entry_message_id"),
            models.Index(fields=["status", "id"], name="entry_status"),
            models.Index(fields=["auth_user", "id"], name="entry_auth_user", condition=~Q(auth_user="")),
            models.Index(fields=["priority", "id"], name="entry_priority", condition=~Q(priority=2)),
            models.Index(fields=["id"], name="entry_hold", condition=Q(hold=True)),
            models.Index(fields=["hold_until"], name="entry_hold_until", condition=Q(hold_until__isnull=False)),
            models.Index(fields=["next_attempt", "id"], name="entry_next", condition=Q(status="waiting")),
            models.Index(fields=["size_bytes", "id"], name="entry_size", condition=Q(status="waiting")),
            models.Index(fields=["attempts", "id"], name="entry_attempts", condition=Q(status="waiting")),
            models.Index(fields=["error_group", "id"], name="entry_error", condition=~Q(error_group="")),
        ]
