"""What each kind of row means for the database: what is there, what would be new or differ, and how it is written.

An applier is made for some rows of its kind and asks the database once for all of them. What the same import has added
before, or would have added were it no dry run, it learns from the `Ledger`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from django.contrib.auth.hashers import check_password, make_password
from django.db.models import Count
from django.forms.models import model_to_dict

from accounts.models import (
    STAFF,
    Alias,
    AliasTarget,
    Domain,
    DomainDefaults,
    DomainUserDefaults,
    ListMember,
    MailingList,
    User,
    UserDefaults,
)
from accounts.passwords.schemes import BadHash, read
from accounts.placing import full, taken
from accounts.transfer.columns import BadRow, Row
from base import row_changes
from base.audit.sentences import few
from base.audit.subjects import Subject, kind_of

_TABLES: tuple[tuple[str, type[User] | type[Alias] | type[MailingList], str], ...] = (
    ("a user", User, "email"),
    ("an alias", Alias, "address"),
    ("a mailing list", MailingList, "address"),
)


@dataclass(slots=True)
class Ledger:
    """What one import knows besides the database: the domains it has met, and whatever it adds or would add."""

    domains: dict[str, Domain | None] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    planned: dict[str, str] = field(default_factory=dict)

    def learn(self, names: Iterable[str]) -> None:
        """Have the domains of these names ready."""
        missing = [name for name in dict.fromkeys(names) if name not in self.domains]
        self.domains |= dict.fromkeys(missing)
        some = Domain.objects.filter(name__in=missing).annotate(user_total=Count("users"))
        for domain in some if missing else ():
            self.domains[domain.name] = domain
            self.places[domain.name] = domain.max_users - domain.user_total if domain.max_users else -1

    def domain(self, address: str) -> Domain:
        """The domain of an address. Raises BadRow."""
        name = address.rpartition("@")[2]
        domain = self.domains.get(name)
        if domain is None:
            raise BadRow(f"there is no domain {name}; add it first, or put its row before this one")
        return domain

    def take_place(self, domain: Domain) -> None:
        """Count one user more. Raises BadRow when the domain may have no more."""
        left = self.places.get(domain.name, -1)
        if left == 0:
            raise BadRow(full(domain))
        self.places[domain.name] = left - 1 if left > 0 else left


@dataclass(slots=True)
class Change:
    """What is to be written for one row, and how the history says it."""

    row: Row
    instance: Any
    fields: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [*self.fields, *self.more]


class Applier:
    """Rows of one kind. `there` are those that the database has already, by `key_of`."""

    model: ClassVar[type[Any]]
    # What full validation would ask the database about; it has been asked for all rows at once.
    unasked: ClassVar[tuple[str, ...]] = ()
    named: ClassVar[str]

    def __init__(self, rows: Sequence[Row], ledger: Ledger) -> None:
        self.ledger = ledger
        self.addresses = [row.address for row in rows]
        ledger.learn(address.rpartition("@")[2] for address in self.addresses)
        self.there: Mapping[Any, Any] = self.found(rows)

    def found(self, rows: Sequence[Row]) -> Mapping[Any, Any]:
        return {getattr(one, self.named): one for one in self.rows_of(self.addresses)}

    def rows_of(self, addresses: Sequence[str]) -> Iterable[Any]:
        return self.model._default_manager.filter(**{f"{self.named}__in": addresses})  # type: ignore[no-any-return]

    def key_of(self, row: Row) -> Any:
        return row.address

    def change(self, row: Row) -> Change | None:
        """What would differ from what is there; None when nothing is there. Raises BadRow."""
        instance = self.there.get(self.key_of(row))
        if instance is None:
            return None
        fields = {name: value for name, value in row.values.items() if getattr(instance, name) != value}
        change = Change(row, instance, fields, before={name: getattr(instance, name) for name in fields})
        self.differ(change)
        return change

    def differ(self, change: Change) -> None:
        """Compare what has rules of its own."""

    def new(self, row: Row) -> Change:
        """What would be made. Raises BadRow."""
        return Change(row, self.model(**{self.named: row.address}, **row.values), row.values)

    def validate(self, change: Change) -> None:
        """Set what changes, and look at the whole. Raises ValidationError."""
        for name, value in change.fields.items():
            setattr(change.instance, name, value)
        change.instance.clean_fields(exclude=self.unasked)
        change.instance.clean()

    def add(self, changes: Sequence[Change]) -> None:
        self.model._default_manager.bulk_create([change.instance for change in changes])

    def plan(self, changes: Sequence[Change]) -> None:
        """Tell the ledger of what is added, or would be."""

    def save(self, changes: Sequence[Change]) -> None:
        """Write what differs, a statement for each set of fields."""
        by_fields: dict[tuple[str, ...], list[Any]] = {}
        for change in changes:
            if change.fields:
                by_fields.setdefault(tuple(change.fields), []).append(change.instance)
        for names, instances in by_fields.items():
            self.model._default_manager.bulk_update(instances, names)

    def told(self, change: Change, *, is_new: bool) -> dict[str, Any]:
        """For the history: parameters."""
        if is_new:
            return {"imported": True}
        now = {name: change.fields[name] for name in change.before}
        differing = row_changes.difference(change.before, now)
        return {"changed": row_changes.for_programs(self.model, differing)} if differing else {}

    def subject(self, change: Change) -> Subject:
        """Whose history it is."""
        return Subject(kind_of(self.model), change.row.address, change.instance.pk)


class Domains(Applier):
    model, named, unasked = Domain, "name", ("name",)

    @cached_property
    def _start(self) -> dict[str, Any]:
        return model_to_dict(DomainDefaults.load(), exclude=["id"])

    def new(self, row: Row) -> Change:
        domain = Domain(name=row.address, **{**self._start, **row.values})
        return Change(row, domain, row.values)

    def plan(self, changes: Sequence[Change]) -> None:
        for change in changes:
            domain: Domain = change.instance
            self.ledger.domains[domain.name] = domain
            self.ledger.places[domain.name] = domain.max_users or -1


class Defaults(Applier):
    """What new users of a domain start with."""

    model, named, unasked = DomainUserDefaults, "domain", ("domain",)

    def found(self, rows: Sequence[Row]) -> Mapping[Any, Any]:
        some = DomainUserDefaults.objects.select_related("domain").filter(domain__name__in=self.addresses)
        return {one.domain.name: one for one in some}

    @cached_property
    def _start(self) -> dict[str, Any]:
        return model_to_dict(UserDefaults.load(), exclude=["id"])

    def new(self, row: Row) -> Change:
        domain = self.ledger.domain(row.address)
        return Change(row, DomainUserDefaults(domain=domain, **{**self._start, **row.values}), row.values)


class _Addressed(Applier):
    """Users, aliases and lists: an address is one of them alone."""

    def __init__(self, rows: Sequence[Row], ledger: Ledger) -> None:
        super().__init__(rows, ledger)
        self.taken: dict[str, str] = {}
        for label, model, column in _TABLES:
            if model is not self.model:
                others = model._default_manager.filter(**{f"{column}__in": self.addresses})
                self.taken |= dict.fromkeys(others.values_list(column, flat=True), label)

    def change(self, row: Row) -> Change | None:
        if by := self.taken.get(row.address) or self.ledger.planned.get(row.address):
            raise BadRow(taken(row.address, by))
        return super().change(row)

    def plan(self, changes: Sequence[Change]) -> None:
        label = next(label for label, model, _ in _TABLES if model is self.model)
        self.ledger.planned |= {change.row.address: label for change in changes}


class Users(_Addressed):
    model, named, unasked = User, "email", ("domain", "password", "email")

    def __init__(self, rows: Sequence[Row], ledger: Ledger) -> None:
        super().__init__(rows, ledger)
        self._starts: dict[str, dict[str, Any]] = {}

    def rows_of(self, addresses: Sequence[str]) -> Iterable[User]:
        return User.objects.select_related("domain").filter(email__in=addresses)

    def new(self, row: Row) -> Change:
        is_staff = row.values.get("role") in STAFF
        name = row.address.rpartition("@")[2]
        domain = self.ledger.domains.get(name) if is_staff else self.ledger.domain(row.address)
        user = User(email=row.address, domain=domain, **{**self._start(name, domain), **row.values})
        user.forward_to = "\n".join(row.more.get("forward_to", ()))
        password = row.more.get("password")
        # An unusable one is told from another by chance alone: make_password(None) begins with "!".
        user.password = make_password(None) if password is None else password
        return Change(row, user, row.values)

    def validate(self, change: Change) -> None:
        super().validate(change)
        if change.instance.pk is None and change.instance.domain is not None:
            self.ledger.take_place(change.instance.domain)

    def _start(self, name: str, domain: Domain | None) -> dict[str, Any]:
        if name not in self._starts:
            kept = DomainUserDefaults.objects.filter(domain__name=name).first() if domain is not None else None
            self._starts[name] = model_to_dict(kept or UserDefaults.load(), exclude=["id", "domain"])
        return self._starts[name]

    def differ(self, change: Change) -> None:
        user, more = change.instance, change.row.more
        if "forward_to" in more and user.forward_addresses != more["forward_to"]:
            change.before["forward_to"] = user.forward_to
            change.fields["forward_to"] = "\n".join(more["forward_to"])
        if "password" in more:
            password = more["password"]
            is_same = not user.has_usable_password() if password is None else user.password == password
            if not is_same:
                change.fields["password"] = make_password(None) if password is None else password

    def told(self, change: Change, *, is_new: bool) -> dict[str, Any]:
        if is_new:
            return {"imported": change.instance.role}
        return {**super().told(change, is_new=False), **({"password": True} if "password" in change.fields else {})}


class Aliases(_Addressed):
    model, named, unasked = Alias, "address", ("domain", "address")

    def found(self, rows: Sequence[Row]) -> Mapping[Any, Any]:
        some = Alias.objects.filter(address__in=self.addresses).prefetch_related("targets")
        return {alias.address: alias for alias in some}

    def new(self, row: Row) -> Change:
        alias = Alias(address=row.address, domain=self.ledger.domain(row.address), **row.values)
        return Change(row, alias, row.values, {"to": row.more.get("to", [])})

    def differ(self, change: Change) -> None:
        if "to" in change.row.more:
            now = {target.address for target in change.instance.targets.all()}
            if now != set(change.row.more["to"]):
                change.more["to"] = change.row.more["to"]

    def add(self, changes: Sequence[Change]) -> None:
        super().add(changes)
        self._point(changes)

    def save(self, changes: Sequence[Change]) -> None:
        super().save(changes)
        pointed = [change for change in changes if "to" in change.more]
        AliasTarget.objects.filter(alias__in=[change.instance for change in pointed]).delete()
        self._point(pointed)

    def _point(self, changes: Sequence[Change]) -> None:
        AliasTarget.objects.bulk_create(
            (AliasTarget(alias=change.instance, address=one) for change in changes for one in change.more["to"]),
            batch_size=2_000,
        )

    def told(self, change: Change, *, is_new: bool) -> dict[str, Any]:
        told = super().told(change, is_new=is_new)
        if "to" in change.more:
            told["targets"] = {"before": few([]), "after": few(change.more["to"])}
        return told


class Lists(_Addressed):
    model, named, unasked = MailingList, "address", ("domain", "address", "owner")

    def __init__(self, rows: Sequence[Row], ledger: Ledger) -> None:
        super().__init__(rows, ledger)
        owners = {row.more["owner"] for row in rows if row.more.get("owner")}
        self._owners = {user.email: user for user in User.objects.filter(email__in=owners)}

    def rows_of(self, addresses: Sequence[str]) -> Iterable[MailingList]:
        return MailingList.objects.select_related("owner").filter(address__in=addresses)

    def new(self, row: Row) -> Change:
        found = MailingList(
            address=row.address, domain=self.ledger.domain(row.address), owner=self._owner(row), **row.values
        )
        return Change(row, found, row.values)

    def _owner(self, row: Row) -> User | None:
        """Raises BadRow. In a dry run the owner may be one who would be added."""
        address = row.more.get("owner", "")
        owner = self._owners.get(address)
        if address and owner is None and self.ledger.planned.get(address) != "a user":
            raise BadRow(f"there is no user {address} to own it")
        return owner

    def differ(self, change: Change) -> None:
        if "owner" in change.row.more:
            owner, now = self._owner(change.row), change.instance.owner
            if (now.email if now else "") != change.row.more["owner"]:
                change.before["owner"] = change.instance.owner_id
                change.fields["owner"] = owner

    def told(self, change: Change, *, is_new: bool) -> dict[str, Any]:
        if "owner" in change.fields:
            owner = change.fields["owner"]
            change.fields["owner"] = owner.pk if owner is not None else None
        return super().told(change, is_new=is_new)


class Members(Applier):
    model, named, unasked = ListMember, "address", ("mailing_list", "address")

    def found(self, rows: Sequence[Row]) -> Mapping[Any, Any]:
        lists = MailingList.objects.filter(address__in=self.addresses)
        self._lists = {found.address: found for found in lists}
        members = [row.more["member"] for row in rows]
        some = ListMember.objects.filter(mailing_list__in=self._lists.values(), address__in=members)
        names = {found.pk: found.address for found in self._lists.values()}
        return {(names[member.mailing_list_id], member.address): member for member in some}

    def key_of(self, row: Row) -> Any:
        return row.address, row.more["member"]

    def new(self, row: Row) -> Change:
        mailing_list = self._lists.get(row.address)
        if mailing_list is None and self.ledger.planned.get(row.address) != "a mailing list":
            raise BadRow(f"there is no mailing list {row.address}; put its row before this one")
        return Change(row, ListMember(mailing_list=mailing_list, address=row.more["member"], **row.values), row.values)

    def told(self, change: Change, *, is_new: bool) -> dict[str, Any]:
        told = super().told(change, is_new=is_new)
        told.pop("imported", None)
        return {"imported_member": {"address": change.row.more["member"], **told}}

    def subject(self, change: Change) -> Subject:
        return Subject(kind_of(MailingList), change.row.address, change.instance.mailing_list_id)


APPLIERS: Mapping[str, type[Applier]] = {
    "domain": Domains,
    "defaults": Defaults,
    "user": Users,
    "alias": Aliases,
    "list": Lists,
    "member": Members,
}


def settle_passwords(rows: Sequence[Row], problems: dict[int, str], *, hash_them: bool) -> None:
    """Have in each row what the column gets; outside any transaction, because hashing one takes a while.

    What can't be taken over goes into `problems`, by the row's id(). Without `hash_them` (a dry run) a password in the
    clear that would be hashed stands for itself, and is never written.
    """
    plain: dict[str, Row] = {}
    for row in rows:
        if "password" not in row.more:
            continue
        try:
            stored = read(row.more["password"])
        except BadHash as error:
            problems[id(row)] = str(error)
            continue
        row.more["password"] = stored.text if stored is not None else None
        if stored is not None and stored.is_plain:
            plain[row.address] = row
    known = dict(User.objects.filter(email__in=plain).values_list("email", "password")) if plain else {}
    for address, row in plain.items():
        text = row.more["password"]
        if address in known and check_password(text, known[address]):
            row.more["password"] = known[address]
        elif hash_them:
            row.more["password"] = make_password(text)
