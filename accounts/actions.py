"""What administrators do to domains, users, aliases and lists: one function each, for page and command alike.

Each validates fully before it writes, in one transaction, and raises ValidationError or one of the errors below.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms.models import model_to_dict

from accounts import directory, edits
from accounts.actor import NotAllowed
from accounts.addresses import normalise_address, normalise_domain
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
    "get_alias",
    "get_domain",
    "get_list",
    "get_user",
    "remove",
    "remove_members",
    "set_domain_status",
    "set_enabled",
    "set_status_of",
    "set_targets",
    "set_user_status",
]

# SQLite allows 32,766 parameters in a statement.
CHUNK = 5_000


class InUse(Exception):
    """What is to be removed is needed by something else."""


def get_user(email: str) -> User:
    """Raises NotThere."""
    user = User.objects.select_related("domain").filter(email=normalise_address(email)).first()
    if user is None:
        raise NotThere(f"There is no user {email}.")
    return user


def get_alias(address: str) -> Alias:
    """Raises NotThere."""
    alias = Alias.objects.filter(address=normalise_address(address)).first()
    if alias is None:
        raise NotThere(f"There is no alias {address}.")
    return alias


def get_list(address: str) -> MailingList:
    """Raises NotThere."""
    found = MailingList.objects.filter(address=normalise_address(address)).first()
    if found is None:
        raise NotThere(f"There is no mailing list {address}.")
    return found


@transaction.atomic
def add_domain(name: str, **fields: Any) -> Domain:
    """A new domain, with the domain defaults where `fields` are silent."""
    defaults = model_to_dict(DomainDefaults.load(), exclude=["id"])
    domain = Domain(name=normalise_domain(name), **{**defaults, **fields})
    domain.full_clean()
    domain.save()
    return domain


@transaction.atomic
def add_user(email: str, password: str, *, role: Role = Role.USER, **fields: Any) -> User:
    """A new user, with the domain's or the server's user defaults where `fields` are silent.

    A system administrator may be without a domain.
    """
    directory.changed()
    user = User(role=role, **fields)
    place(user, email)
    start = UserDefaults.load() if user.domain is None else DomainUserDefaults.of(user.domain)
    for name, value in model_to_dict(start, exclude=["id", "domain", *fields]).items():
        setattr(user, name, value)
    validate_password(password, user)
    user.set_password(password)
    user.full_clean()
    user.save()
    return user


@transaction.atomic
def add_alias(address: str, targets: Iterable[str], **fields: Any) -> Alias:
    """A new alias for `targets`."""
    directory.changed()
    alias = Alias(**fields)
    place(alias, address)
    alias.full_clean()
    alias.save()
    set_targets(alias, targets)
    return alias


@transaction.atomic
def set_targets(alias: Alias, targets: Iterable[str]) -> None:
    """Have an alias stand for `targets` and nothing else. It may not stand for itself."""
    wanted = dict.fromkeys(normalise_address(target) for target in targets)
    if alias.address in wanted:
        raise ValidationError(f"{alias.address} can't stand for itself.")
    directory.changed()
    alias.targets.exclude(address__in=wanted).delete()
    known = set(alias.targets.values_list("address", flat=True))
    AliasTarget.objects.bulk_create(
        AliasTarget(alias=alias, address=address) for address in wanted if address not in known
    )


@transaction.atomic
def add_list(address: str, members: Iterable[str] = (), *, owner: str = "", **fields: Any) -> MailingList:
    """A new mailing list."""
    directory.changed()
    mailing_list = MailingList(owner=get_user(owner) if owner else None, **fields)
    place(mailing_list, address)
    mailing_list.full_clean()
    mailing_list.save()
    add_members(mailing_list, members)
    return mailing_list


@transaction.atomic
def add_members(mailing_list: MailingList, addresses: Iterable[str]) -> int:
    """Put addresses on a list; those that are on it already stay. Returns how many are new."""
    wanted = dict.fromkeys(normalise_address(address) for address in addresses)
    directory.changed()
    new = 0
    for some in batched(wanted, CHUNK):
        known = set(mailing_list.members.filter(address__in=some).values_list("address", flat=True))
        missing = [ListMember(mailing_list=mailing_list, address=address) for address in some if address not in known]
        new += len(ListMember.objects.bulk_create(missing))
    return new


@transaction.atomic
def remove_members(mailing_list: MailingList, addresses: Iterable[str]) -> int:
    """Take addresses off a list; returns how many were on it."""
    wanted = dict.fromkeys(normalise_address(address) for address in addresses)
    directory.changed()
    return sum(mailing_list.members.filter(address__in=some).delete()[0] for some in batched(wanted, CHUNK))


@transaction.atomic
def set_enabled(row: Alias | MailingList, is_enabled: bool) -> None:
    """Switch an alias or a list on or off. While it is off its address takes no mail."""
    row.enabled = is_enabled
    row.save(update_fields=["enabled"])


@transaction.atomic
def change(row: Domain | User | Alias | MailingList, **fields: Any) -> None:
    """Change fields, validated as a whole. Nothing else is written: others may have changed the rest meanwhile."""
    edits.remember(row)
    for name, value in fields.items():
        setattr(row, name, value)
    row.full_clean()
    edits.save(row)


@transaction.atomic
def change_defaults(defaults: Defaults, **fields: Any) -> None:
    """Change what new domains or users start with. Those that are there keep what they have."""
    edits.remember(defaults)
    for name, value in fields.items():
        setattr(defaults, name, value)
    defaults.full_clean()
    edits.save(defaults)


@transaction.atomic
def remove(row: Domain | User | Alias | MailingList) -> None:
    """Delete it. Raises InUse for a domain that something is in."""
    if isinstance(row, Domain):
        counts = {"users": row.users.count(), "aliases": row.aliases.count(), "mailing lists": row.lists.count()}
        if any(counts.values()):
            held = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            raise InUse(f"{row.name} still has {held}: remove them first.")
    row.delete()
