"""The fields of each kind of account, in groups, described once for every door.

The console's pages, the user site's forms, the options of `manage.py account` and the columns of import and export are
made of these. What a field is called, what it means, its choices and checks are the model's own; a field that is added
to a model goes into a group here, and is everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import Alias, Domain, DomainDefaults, MailingList, User, UserDefaults
from accounts.models.spam import SPAM_FIELDS
from base.numbers import grouped
from base.texts import Text

# A field, or some that stand beside each other on a page.
Line = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together, under a title, with a text for people. `is_reserved` for system administrators."""

    title: Text
    lines: tuple[Line, ...]
    text: Text = ""
    is_reserved: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for line in self.lines for name in ((line,) if isinstance(line, str) else line))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of account. `address` is the field that names one.

    A name that is no field of the model is an input of the pages (a new password, members to add), which the command
    and files give in a way of their own; so are those that are `apart`.
    """

    name: str
    model: type[Model]
    groups: tuple[Group, ...]
    address: str = "address"
    apart: frozenset[str] = frozenset()

    @property
    def fieldsets(self) -> list[tuple[Text | None, dict[str, Any]]]:
        """As Django's admin takes them."""
        return [
            (group.title or None, {"fields": [*group.lines], **({"description": group.text} if group.text else {})})
            for group in self.groups
        ]

    @property
    def inputs(self) -> list[str]:
        """What a page of the console asks for."""
        return [name for group in self.groups for name in group.names]

    @property
    def inputs_in_domain(self) -> list[str]:
        """What a page for administrators of a domain asks for."""
        return [name for group in self.groups if not group.is_reserved for name in group.names]

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the model, but for the one that names a row."""
        own = {field.name for field in self.model._meta.concrete_fields}
        return tuple(name for name in self.inputs if name in own and name != self.address)

    @property
    def options(self) -> tuple[str, ...]:
        """Fields that the command has a plain option for."""
        return tuple(name for name in self.fields if name not in self.apart)


_HOURLY: Final = (
    ("messages_per_hour", "messages_action"),
    ("bandwidth_mb_per_hour", "bandwidth_action"),
    ("recipients_per_hour", "recipients_action"),
)
_BOUNCES: Final = (("bounces_per_hour", "bounces_action"),)
_OF_DOMAINS: Final = ("max_users", "max_message_kb", "max_recipients")
_OF_USERS: Final = ("mailbox_mb", "max_message_kb", "max_recipients")

FORWARDING: Final = Group(_lazy("Forwarding"), ("forward_to", "forward_keeps_copy"))
DOMAIN: Final = Kind(
    "domain",
    Domain,
    (
        Group("", ("name", "status", "catch_all", "description")),
        Group(
            _lazy("Sending"),
            ("send_as",),
            _lazy("For users without a choice of their own. Without one here, it is as in Settings."),
        ),
        Group(_lazy("Recipients"), ("suppression",)),
        Group(
            _lazy("Limits"),
            _OF_DOMAINS,
            _lazy("What its users may do at most. New domains start from the domain defaults."),
        ),
        Group(
            _lazy("Throttling"),
            (*_HOURLY, *_BOUNCES),
            _lazy("How much its users and lists may send together in an hour."),
        ),
        Group(
            _lazy("Spam that comes in"),
            SPAM_FIELDS,
            _lazy("For all its users who have not chosen otherwise. The rest follows the page Antispam."),
        ),
        Group(
            _lazy("Spam Quarantine"), ("users_release",), _lazy("Without a choice here, it is as on the page Antispam.")
        ),
    ),
    address="name",
    apart=frozenset({"status"}),
)
USER: Final = Kind(
    "user",
    User,
    (
        Group("", ("email", "name", "language", "new_password", "role", "status")),
        FORWARDING,
        Group(
            _lazy("Sending"),
            ("send_as",),
            _lazy("Without a choice it is as the domain has it; without one there, as in Settings."),
            is_reserved=True,
        ),
        Group(_lazy("Limits"), _OF_USERS, _lazy("New users start from the user defaults.")),
        Group(
            _lazy("Throttling"),
            _HOURLY,
            _lazy("How much may be sent in an hour. The domain may have limits of its own."),
        ),
        Group(
            _lazy("Spam that comes in"),
            SPAM_FIELDS,
            _lazy("What is left as it is follows the domain, and what that leaves follows the page Antispam."),
        ),
    ),
    address="email",
    apart=frozenset({"role", "status", "forward_to"}),
)
ALIAS: Final = Kind(
    "alias", Alias, (Group("", ("address", "targets", "enabled", "description")),), apart=frozenset({"enabled"})
)
LIST: Final = Kind(
    "list",
    MailingList,
    (
        Group("", ("address", "owner", "posting", "subject_prefix", "enabled", "description", "new_members")),
        Group(_lazy("Mail to members"), ("rewrite_from", "unsubscribe")),
        Group(
            _lazy("Throttling"),
            _HOURLY,
            _lazy("How much it may send its members in an hour. The domain may have limits of its own."),
        ),
    ),
    apart=frozenset({"owner", "enabled"}),
)
DOMAIN_DEFAULTS: Final = Kind(
    "domain",
    DomainDefaults,
    (
        Group(
            _lazy("What a new domain starts with"),
            (*_OF_DOMAINS, *_HOURLY, *_BOUNCES),
            _lazy("Existing domains keep their settings until these are propagated to them."),
        ),
    ),
)
USER_DEFAULTS: Final = Kind(
    "user",
    UserDefaults,
    (
        Group(
            _lazy("What a new user starts with"),
            (*_OF_USERS, *_HOURLY),
            _lazy("Existing users keep their settings until these are propagated to them."),
        ),
    ),
)
KINDS: Final = {kind.name: kind for kind in (DOMAIN, USER, ALIAS, LIST)}
DEFAULTS: Final = {kind.name: kind for kind in (DOMAIN_DEFAULTS, USER_DEFAULTS)}

# Limits by the hour and what happens beyond each, of users and lists, and of domains.
HOURLY: Final = Group("", _HOURLY).names
HOURLY_OF_DOMAINS: Final = Group("", (*_HOURLY, *_BOUNCES)).names
# What may be left to the domain or the server, and the word for that in commands and files.
INHERITED: Final = (*SPAM_FIELDS, "send_as", "users_release", "language")
INHERIT_WORD: Final = "inherit"
# Where a domain has its own limit, its administrators grant its users and lists no more.
_CAPPED: Final = ("max_message_kb", "max_recipients", *(name for name in HOURLY if name.endswith("_per_hour")))


def excesses(domain: Domain, values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """Of fields and what its administrator would give, those beyond the domain's own limit, with a sentence each."""
    for name, wanted in values:
        most = getattr(domain, name) if name in _CAPPED else 0
        if most and (wanted or 0) > most:
            label = str(Domain._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
            yield (
                name,
                _("%(domain)s itself may have %(most)s at most (%(label)s); 0 leaves the domain's limit.")
                % {"domain": domain.name, "most": grouped(most), "label": label},
            )


def refuse_itself(address: str, targets: Iterable[str]) -> str:
    """Why an alias can't stand for these; "" when it can."""
    return _("%(address)s can't stand for itself.") % {"address": address} if address in targets else ""
