"""What administrators do to domains, users, aliases and lists: one function each, for page and command alike.

Each validates fully before it writes, in one transaction, and raises ValidationError or one of the errors below.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.forms.models import model_to_dict

from accounts import directory
from accounts.addresses import normalise_address, normalise_domain
from accounts.models import (
    Alias,
    AliasTarget,
    Domain,
    DomainDefaults,
    ListMember,
    MailingList,
    Role,
    Status,
    User,
    UserDefaults,
)


class NotThere(Exception):
    """There is no such domain, user, alias or list."""


class AddressTaken(Exception):
    """Another user, alias or list has the address."""


class TooManyUsers(Exception):
    """The domain has as many users as it may."""


def get_domain(name: str) -> Domain:
    """Raises NotThere."""
    domain = Domain.objects.filter(name=normalise_domain(name)).first()
    if domain is None:
        raise NotThere(f"There is no domain {name}; add it first.")
    return domain


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
    defaults = model_to_dict(DomainDefaults.current(), exclude=["id"])
    domain = Domain(name=normalise_domain(name), **{**defaults, **fields})
    domain.full_clean()
    domain.save()
    return domain


@transaction.atomic
def add_user(email: str, password: str, *, role: Role = Role.USER, **fields: Any) -> User:
    """A new user, with the user defaults where `fields` are silent. A system administrator may be without a domain."""
    address = normalise_address(email)
    _require_free(address)
    name = address.rpartition("@")[2]
    domain = Domain.objects.select_for_update().filter(name=name).first()
    if domain is None and role != Role.SYSTEM_ADMINISTRATOR:
        raise NotThere(f"There is no domain {name}; add it first.")
    if domain is not None and 0 < domain.max_users <= domain.users.count():
        raise TooManyUsers(f"{name} has all the {domain.max_users} users that it may have.")
    defaults = model_to_dict(UserDefaults.current(), exclude=["id"])
    user = User(email=address, domain=domain, role=role, **{**defaults, **fields})
    validate_password(password, user)
    user.set_password(password)
    user.full_clean()
    user.save()
    return user


@transaction.atomic
def add_alias(address: str, targets: Iterable[str], **fields: Any) -> Alias:
    """A new alias for `targets`."""
    address = normalise_address(address)
    _require_free(address)
    alias = Alias(address=address, domain=get_domain(address.rpartition("@")[2]), **fields)
    alias.full_clean()
    alias.save()
    AliasTarget.objects.bulk_create(
        AliasTarget(alias=alias, address=normalise_address(target)) for target in dict.fromkeys(targets)
    )
    directory.changed()
    return alias


@transaction.atomic
def add_list(address: str, members: Iterable[str] = (), *, owner: str = "", **fields: Any) -> MailingList:
    """A new mailing list."""
    address = normalise_address(address)
    _require_free(address)
    domain = get_domain(address.rpartition("@")[2])
    mailing_list = MailingList(address=address, domain=domain, owner=get_user(owner) if owner else None, **fields)
    mailing_list.full_clean()
    mailing_list.save()
    add_members(mailing_list, members)
    return mailing_list


@transaction.atomic
def add_members(mailing_list: MailingList, addresses: Iterable[str]) -> int:
    """Put addresses on a list; those that are on it already stay. Returns how many are new."""
    wanted = dict.fromkeys(normalise_address(address) for address in addresses)
    known = set(mailing_list.members.filter(address__in=wanted).values_list("address", flat=True))
    new = [ListMember(mailing_list=mailing_list, address=address) for address in wanted if address not in known]
    ListMember.objects.bulk_create(new)
    directory.changed()
    return len(new)


@transaction.atomic
def remove_members(mailing_list: MailingList, addresses: Iterable[str]) -> int:
    """Take addresses off a list; returns how many were on it."""
    wanted = [normalise_address(address) for address in addresses]
    removed, _ = mailing_list.members.filter(address__in=wanted).delete()
    directory.changed()
    return removed


@transaction.atomic
def set_status(row: Domain | User, status: Status) -> None:
    """Enable, disable, or let it only receive."""
    row.status = status
    row.save(update_fields=["status"])


@transaction.atomic
def set_password(user: User, password: str) -> None:
    """A new password, that passes the password rules."""
    validate_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])


@transaction.atomic
def change(row: Domain | User | Alias | MailingList, **fields: Any) -> None:
    """Change fields, validated as a whole."""
    for name, value in fields.items():
        setattr(row, name, value)
    row.full_clean()
    row.save()


@transaction.atomic
def remove(row: Domain | User | Alias | MailingList) -> None:
    """Delete it. A domain goes only when nothing is in it (django.db.models.ProtectedError)."""
    row.delete()


def _require_free(address: str) -> None:
    taken = (
        User.objects.filter(email=address).exists()
        or Alias.objects.filter(address=address).exists()
        or MailingList.objects.filter(address=address).exists()
    )
    if taken:
        raise AddressTaken(f"{address} is taken already.")
