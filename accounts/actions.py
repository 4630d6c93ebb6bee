"""What administrators do to domains, users, aliases and lists: one function each, for page and command alike.

Each validates fully before it writes, in one transaction with the record of it, and raises ValidationError or one of
the errors below; NotAllowed when the actor's role does not reach that far. Without an actor Mailspool itself acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms.models import model_to_dict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts import changes, directory, edits
from accounts.account_actions import AccountAction
from accounts.actor import SYSTEM, Actor, NotAllowed
from accounts.addresses import normalise_address, normalise_domain
from accounts.connections.registry import end_quietly
from accounts.models import (
    Alias,
    AliasTarget,
    Defaults,
    Domain,
    DomainDefaults,
    DomainUserDefaults,
    ListMember,
    MailingList,
    Role,
    User,
    UserDefaults,
)
from accounts.placing import AddressTaken, NotThere, TooManyUsers, get_domain, place
from accounts.securing import Refused, Secured, change_password, set_domain_status, set_status_of, set_user_status
from base.actions.action import Change, Target, WayBack
from base.actions.perform import perform
from base.audit.sentences import few
from base.batches import batched

__all__ = [
    "AddressTaken",
    "InUse",
    "NotAllowed",
    "NotThere",
    "Refused",
    "Secured",
    "TooManyUsers",
    "add_alias",
    "add_domain",
    "add_list",
    "add_members",
    "add_user",
    "change",
    "change_defaults",
    "change_password",
    "delete",
    "get_alias",
    "get_domain",
    "get_list",
    "get_user",
    "remove",
    "remove_members",
    "save",
    "set_domain_status",
    "set_enabled",
    "set_status_of",
    "set_user_status",
]

MOST_NAMED = 10
# SQLite allows 32,766 parameters in a statement.
CHUNK = 5_000


Row = Domain | User | Alias | MailingList


class InUse(Refused):
    """What is to be removed is needed by something else."""


@dataclass(frozen=True, slots=True)
class Saved:
    """How many members a list has got and lost."""

    added: int = 0
    removed: int = 0


def get_user(email: str) -> User:
    """Raises NotThere."""
    user = User.objects.select_related("domain").filter(email=normalise_address(email)).first()
    if user is None:
        raise NotThere(_("There is no user %(address)s.") % {"address": email})
    return user


def get_alias(address: str) -> Alias:
    """Raises NotThere."""
    alias = Alias.objects.filter(address=normalise_address(address)).first()
    if alias is None:
        raise NotThere(_("There is no alias %(address)s.") % {"address": address})
    return alias


def get_list(address: str) -> MailingList:
    """Raises NotThere."""
    found = MailingList.objects.filter(address=normalise_address(address)).first()
    if found is None:
        raise NotThere(_("There is no mailing list %(address)s.") % {"address": address})
    return found


@transaction.atomic
def add_domain(name: str, *, actor: Actor = SYSTEM, **fields: Any) -> Domain:
    """A new domain, with the domain defaults where `fields` are silent."""
    actor.require_administration()
    defaults = model_to_dict(DomainDefaults.load(), exclude=["id"])
    domain = Domain(name=normalise_domain(name), **{**defaults, **fields})
    domain.full_clean()
    save(domain, actor=actor)
    return domain


@transaction.atomic
def add_user(email: str, password: str, *, role: Role = Role.USER, actor: Actor = SYSTEM, **fields: Any) -> User:
    """A new user, with the domain's or the server's user defaults where `fields` are silent.

    A system administrator may be without a domain.
    """
    actor.require_address(email)
    directory.changed()
    user = User(role=role, **fields)
    place(user, email)
    start = UserDefaults.load() if user.domain is None else DomainUserDefaults.of(user.domain)
    for name, value in model_to_dict(start, exclude=["id", "domain", *fields]).items():
        setattr(user, name, value)
    validate_password(password, user)
    user.set_password(password)
    user.full_clean()
    save(user, actor=actor)
    return user


@transaction.atomic
def add_alias(address: str, targets: Iterable[str], *, actor: Actor = SYSTEM, **fields: Any) -> Alias:
    """A new alias for `targets`."""
    actor.require_address(address)
    directory.changed()
    alias = Alias(**fields)
    place(alias, address)
    alias.full_clean()
    save(alias, actor=actor, targets=targets)
    return alias


@transaction.atomic
def add_list(
    address: str, members: Iterable[str] = (), *, owner: str = "", actor: Actor = SYSTEM, **fields: Any
) -> MailingList:
    """A new mailing list."""
    actor.require_address(address)
    directory.changed()
    mailing_list = MailingList(owner=get_user(owner) if owner else None, **fields)
    place(mailing_list, address)
    mailing_list.full_clean()
    save(mailing_list, actor=actor, members=members)
    return mailing_list


@transaction.atomic
def save(
    row: Row,
    *,
    actor: Actor,
    action: str = "",
    targets: Iterable[str] | None = None,
    members: Iterable[str] = (),
    without: Iterable[str] = (),
) -> Saved:
    """Store a new row, or what was changed in one, which has been placed and validated; all with one record.

    With it what belongs to it: the `targets` of an alias and no others, `members` that are put on a list, and those
    `without` whom it is to be. The record is called `action`, or by what it is.
    """
    actor.require_row(row)
    if isinstance(row, User) and row.is_staff:
        # Nobody else gives a place in the console.
        actor.require_administration()
    before = changes.stored(row)
    edits.save(row)
    parts, done = dict[str, Any](), Saved()
    if isinstance(row, Alias) and targets is not None:
        parts = _set_targets(row, targets)
    if isinstance(row, MailingList):
        added, gone = _add_members(row, members), _remove_members(row, without)
        if added or gone:
            parts = {"members": {"added": few(added, MOST_NAMED), "removed": few(gone, MOST_NAMED)}}
        done = Saved(len(added), len(gone))
    changes.record(actor, before, row, action, parts=parts)
    return done


@transaction.atomic
def add_members(mailing_list: MailingList, addresses: Iterable[str], *, actor: Actor = SYSTEM) -> int:
    """Put addresses on a list; those that are on it already stay. Returns how many are new."""
    return save(mailing_list, actor=actor, members=addresses).added


@transaction.atomic
def remove_members(mailing_list: MailingList, addresses: Iterable[str], *, actor: Actor = SYSTEM) -> int:
    """Take addresses off a list; returns how many were on it."""
    return save(mailing_list, actor=actor, without=addresses).removed


class SwitchOn(AccountAction):
    """Takes mail again."""

    name, label, icon, of_many = "enable", _lazy("Enable"), "mark_email_read", _lazy("Enable: takes mail again")
    kinds = ("alias", "list")
    undoable = True
    is_on: ClassVar[bool] = True

    def is_due(self, target: Target) -> bool:
        return any(row.enabled != self.is_on for row in target.rows)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("It takes mail again.") if self.is_on else _("While it is off, mail to it is refused.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        entries = []
        for row in target.rows:
            edits.remember(row)
            before, row.enabled = changes.stored(row), self.is_on
            row.full_clean()
            edits.save(row)
            if (written := changes.described(before, row)) is not None:
                entries.append(replace(written, action=f"change {changes.kind_of(row)}"))
        said = (_("%(what)s is switched on.") if self.is_on else _("%(what)s is switched off.")) % {"what": target}
        return Change(said, entries, undo=WayBack((SWITCH_OFF if self.is_on else SWITCH_ON).name, target))


class SwitchOff(SwitchOn):
    """Takes no mail for now."""

    name, label, icon, of_many = "disable", _lazy("Disable"), "unsubscribe", _lazy("Disable: takes no mail for now")
    danger = True
    is_on = False


SWITCH_ON, SWITCH_OFF = SwitchOn(), SwitchOff()


def set_enabled(row: Alias | MailingList, is_enabled: bool, *, actor: Actor = SYSTEM) -> None:
    """Switch an alias or a list on or off. While it is off its address takes no mail."""
    kind = "list" if isinstance(row, MailingList) else "alias"
    perform(SWITCH_ON if is_enabled else SWITCH_OFF, actor, Target(kind, (row.address,), (row,)))


@transaction.atomic
def change(
    row: Row, *, actor: Actor = SYSTEM, action: str = "", targets: Iterable[str] | None = None, **fields: Any
) -> None:
    """Change fields, and whom an alias stands for, validated as a whole.

    Nothing else is written: others may have changed the rest meanwhile.
    """
    actor.require_row(row)
    edits.remember(row)
    for name, value in fields.items():
        setattr(row, name, value)
    row.full_clean()
    save(row, actor=actor, action=action, targets=targets)


@transaction.atomic
def change_defaults(defaults: Defaults, *, actor: Actor = SYSTEM, **fields: Any) -> None:
    """Change what new domains or users start with. Those that are there keep what they have."""
    if isinstance(defaults, DomainUserDefaults):
        actor.require_domain(defaults.domain)
    else:
        actor.require_administration()
    edits.remember(defaults)
    for name, value in fields.items():
        setattr(defaults, name, value)
    defaults.full_clean()
    changes.save(actor, defaults)


def remove(row: Row, *, actor: Actor = SYSTEM) -> Secured:
    """Delete it; a user's connections end at once. Call it outside a transaction.

    Raises InUse for a domain that something is in, and Refused when people would remove themselves.
    """
    delete(row, actor=actor)
    dropped = end_quietly([row.email]) if isinstance(row, User) else None
    return Secured(_("%(what)s is removed.") % {"what": row}, dropped)


@transaction.atomic
def delete(row: Row, *, actor: Actor) -> None:
    """The part of `remove` that a transaction may hold: once it is committed, the caller ends the connections."""
    actor.require_row(row)
    if isinstance(row, User) and actor.is_person(row):
        raise Refused(_("You can't remove yourself; ask another administrator."))
    if isinstance(row, Domain):
        counts = {"users": row.users.count(), "aliases": row.aliases.count(), "mailing lists": row.lists.count()}
        if any(counts.values()):
            held = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            raise InUse(_("%(row)s still has %(held)s: remove them first.") % {"row": row.name, "held": held})
    changes.remove(actor, row)


def _set_targets(alias: Alias, targets: Iterable[str]) -> dict[str, Any]:
    """Have an alias stand for `targets` and nothing else; it may not stand for itself. What that changed, if it did."""
    wanted = list(dict.fromkeys(normalise_address(target) for target in targets))
    if alias.address in wanted:
        raise ValidationError(_("%(address)s can't stand for itself.") % {"address": alias.address})
    directory.changed()
    known = list(alias.targets.order_by("id").values_list("address", flat=True))
    alias.targets.exclude(address__in=wanted).delete()
    AliasTarget.objects.bulk_create(
        AliasTarget(alias=alias, address=address) for address in wanted if address not in known
    )
    if set(known) == set(wanted):
        return {}
    return {"targets": {"before": few(known, MOST_NAMED), "after": few(wanted, MOST_NAMED)}}


def _add_members(mailing_list: MailingList, addresses: Iterable[str]) -> list[str]:
    """Those that are new."""
    wanted = dict.fromkeys(normalise_address(address) for address in addresses)
    if wanted:
        directory.changed()
    new: list[str] = []
    for some in batched(wanted, CHUNK):
        known = set(mailing_list.members.filter(address__in=some).values_list("address", flat=True))
        missing = [address for address in some if address not in known]
        ListMember.objects.bulk_create(ListMember(mailing_list=mailing_list, address=address) for address in missing)
        new += missing
    return new


def _remove_members(mailing_list: MailingList, addresses: Iterable[str]) -> list[str]:
    """Those that were on it."""
    wanted = dict.fromkeys(normalise_address(address) for address in addresses)
    if wanted:
        directory.changed()
    gone: list[str] = []
    for some in batched(wanted, CHUNK):
        on_it = mailing_list.members.filter(address__in=some)
        gone += on_it.values_list("address", flat=True)
        on_it.delete()
    return gone
