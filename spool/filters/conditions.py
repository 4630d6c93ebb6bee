"""The filter itself: conditions that all hold, and the query that they make."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, Self

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.addresses import domain_of, key_of
from spool.filters import wildcards  # noqa: F401 – it registers the lookup
from spool.filters.base import COMPARED, MessageFilter, with_message_id, with_words
from spool.filters.fields import FIELDS, BadFilter
from spool.models.entry import Entry, Priority, Status
from spool.models.recipient import Recipient
from spool.models.trashed import Trashed, TrashedRecipient

_TABLE = Entry._meta.db_table
# Conditions written as the partial indexes have them: SQLite only uses such an index when the very words are there.
_WORDS = {
    "waiting": f"{_TABLE}.status = 'waiting'",
    "not normal": f"{_TABLE}.priority <> 2",
    "logged in": f"NOT ({_TABLE}.auth_user = '')",
    "error": f"NOT ({_TABLE}.error_group = '')",
}
# Each of these alone leads, by an index, to its entries in the order of their ids.
INDEXED = (
    "sender",
    "sender_domain",
    "recipient",
    "mailbox",
    "domain",
    "ip",
    "auth_user",
    "file_name",
    "message_id",
    "status",
    "error_group",
    "hold",
    "priority",
)


@dataclass(frozen=True, slots=True)
class SpoolFilter(MessageFilter):
    """Conditions on entries. `recipient` finds a message by the address that it was written to as well, an alias's for
    one; `mailbox` by that which it is delivered to alone.

    `only_sender_domain` is how far a domain administrator sees.
    """

    conditions = FIELDS
    compared = {
        **COMPARED,
        "sender_domain": "sender_domain",
        "status": "status",
        "priority": "priority",
        "min_attempts": "attempts__gte",
        "max_attempts": "attempts__lte",
        "error": "last_error__icontains",
        "error_group": "error_group",
        "hold": "hold",
        "machine": "machine",
    }
    scope = {"only-sender-domain": "only_sender_domain"}

    sender_domain: str = ""
    mailbox: str = ""
    domain: str = ""
    status: str = ""
    priority: int | None = None
    min_attempts: int | None = None
    max_attempts: int | None = None
    error: str = ""
    error_group: str = ""
    hold: bool | None = None
    next_within: timedelta | None = None
    machine: str = ""
    only_sender_domain: str | None = None

    def sentence(self) -> str:
        """In words: "messages from ann@example.org, larger than 10MB"."""
        parts = self.phrases()
        if self.only_sender_domain is not None:
            parts.append(_("sent from %(only_sender_domain)s") % {"only_sender_domain": self.only_sender_domain})
        return (_("messages %(conditions)s") % {"conditions": ", ".join(parts)}) if parts else _("all messages")

    def limited_to(self, domain: str) -> Self:
        """The same, of mail from `domain` only."""
        return replace(self, only_sender_domain=domain.lower())

    @property
    def is_empty(self) -> bool:
        return self == SpoolFilter()

    @property
    def indexed(self) -> list[str]:
        """The attributes whose condition an index answers."""
        found = [name for name in INDEXED if getattr(self, name) not in ("", None) and self._has_index(name)]
        if self.only_sender_domain is not None and not {"sender", "sender_domain"} & {*found}:
            found.append("only_sender_domain")
        return found

    def _has_index(self, name: str) -> bool:
        if name in ("sender", "recipient", "mailbox", "auth_user"):
            return "*" not in getattr(self, name)
        if name == "priority":
            return self.priority != Priority.NORMAL
        return name != "hold" or bool(self.hold)

    @property
    def scanned(self) -> list[str]:
        """The attributes whose condition is found out by looking at each entry."""
        # The time in the spool only bounds the ids that are looked at.
        known = {*self.indexed, "older_than", "younger_than", "only_sender_domain"}
        return [f.name for f in fields(self) if f.name not in known and getattr(self, f.name) not in ("", None)]

    def only(self, attribute: str) -> SpoolFilter:
        """Nothing but that one condition."""
        return SpoolFilter(**{attribute: getattr(self, attribute)})

    def apply(
        self, entries: QuerySet[Entry], within: tuple[int, int] | None = None, *, each: bool = False
    ) -> QuerySet[Entry]:
        """`entries` that meet all conditions; `within` are the lowest and the highest id that can be meant.

        `each` has recipients looked up for each entry that meets the other conditions, of which there are few then.
        """
        if each and self.by_recipients:
            entries = entries.filter(Exists(self.recipients().filter(entry_id=OuterRef("id"))))
            return replace(self, recipient="", mailbox="", domain="").apply(entries, within)
        for condition in self._conditions(within):
            entries = entries.filter(condition)
        if within is not None:
            entries = entries.filter(id__gte=within[0], id__lte=within[1])
        return entries.extra(where=[_WORDS[words] for words in self._partial_indexes()])

    def of_trash(self, rows: QuerySet[Trashed]) -> QuerySet[Trashed]:
        """`rows` of the trash that meet all conditions. How old they are is how long ago they were deleted."""
        if self.by_recipients:
            meant = self.recipients(TrashedRecipient)
            rows = rows.filter(Exists(meant.filter(entry_id=OuterRef("id"))))
        of_entries = replace(self, recipient="", mailbox="", domain="", older_than=None, younger_than=None)
        for condition in of_entries._conditions(None):
            rows = rows.filter(condition)
        now = timezone.now()
        if self.older_than is not None:
            rows = rows.filter(at__lt=now - self.older_than)
        return rows if self.younger_than is None else rows.filter(at__gt=now - self.younger_than)

    @property
    def by_recipients(self) -> bool:
        """Whether recipients are asked about."""
        return bool(self.recipient or self.mailbox or self.domain)

    def recipients(self, model: type[Recipient | TrashedRecipient] = Recipient) -> QuerySet[Any]:
        """The recipients that `recipient`, `mailbox` and `domain` ask for."""
        meant: QuerySet[Any] = model._default_manager.all()
        for name in ("recipient", "mailbox"):
            if getattr(self, name):
                meant = meant.filter(_any_of(self.branches(name)))
        return meant.filter(domain=self.domain) if self.domain else meant

    def branches(self, name: str) -> list[Q]:
        """The conditions of which one must hold, each with an index of its own in the order of the entries.

        Of `sender` about entries, of `recipient`, `mailbox` and `domain` about recipients.
        """
        asked = getattr(self, name)
        if name == "domain":
            return [Q(domain=asked)]
        if name == "sender":
            return _sender(asked)
        found = _addressed("address", asked)
        return [*found, Q(original_key=key_of(asked))] if name == "recipient" and "*" not in asked else found

    def _partial_indexes(self) -> list[str]:
        wanted = {
            "waiting": self.status == Status.WAITING,
            "error": bool(self.error_group),
            "not normal": self.priority not in (None, Priority.NORMAL),
            "logged in": bool(self.auth_user) and "*" not in self.auth_user,
        }
        return [words for words, is_wanted in wanted.items() if is_wanted]

    def _conditions(self, within: tuple[int, int] | None) -> list[Q]:
        found: list[Q] = []
        if self.only_sender_domain is not None:
            found.append(Q(sender_domain=self.only_sender_domain))
        if self.sender:
            found.append(_any_of(self.branches("sender")))
        if self.by_recipients:
            meant = self.recipients()
            if within is not None:
                meant = meant.filter(entry_id__gte=within[0], entry_id__lte=within[1])
            found.append(Q(id__in=meant.values("entry_id")))
        if self.auth_user:
            found.append(_any_of(_address("auth_user", self.auth_user)))
        if self.message_id:
            found.append(with_message_id(self.message_id))
        if self.next_within is not None:
            found.append(Q(next_attempt__lte=timezone.now() + self.next_within))
        return [*found, *with_words("subject", self.subject), *self.comparisons().values()]


def _sender(pattern: str) -> list[Q]:
    """The domain is asked for as well: the index has it first."""
    if pattern == "<>":
        return [Q(sender_domain="", sender="")]
    of_sender, *others = _addressed("sender", pattern)
    return [of_sender if "*" in pattern else Q(sender_domain=domain_of(pattern)) & of_sender, *others]


def _addressed(column: str, pattern: str) -> list[Q]:
    """By the column that has an address as it was written, and the one that has its key where that is another."""
    return [*_address(column, pattern), *([] if "*" in pattern else [Q((f"{column}_key", key_of(pattern)))])]


def _address(column: str, pattern: str) -> list[Q]:
    if "*" in pattern:
        # Without * in the domain it is written as the rows have it.
        local_part, at, domain = pattern.rpartition("@")
        return [Q((f"{column}__wild", pattern if "*" in domain else f"{local_part}{at}{domain_of(f'@{domain}')}"))]
    return [Q((column, key_of(pattern)))]


def _any_of(conditions: list[Q]) -> Q:
    return reduce(or_, conditions)


__all__ = ["INDEXED", "BadFilter", "SpoolFilter"]
