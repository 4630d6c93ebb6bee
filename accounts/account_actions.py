"""What actions on accounts have in common: whose they are."""

from __future__ import annotations

from collections.abc import Iterable

from accounts.actor import Actor
from accounts.addresses import key_of
from accounts.models import Alias, Domain, MailingList, User
from base.actions.action import SingleAction, Target


class AccountAction(SingleAction[Actor]):
    """A person does it to the rows that are this person's to administer."""

    def require(self, actor: Actor, target: Target) -> None:
        for row in target.rows[: len(target.keys)]:
            actor.require_row(row)

    def suits(self, target: Target) -> bool:
        return len(target.rows) >= len(target.keys)


class UserAction(AccountAction):
    """Done to users."""

    kinds = ("user",)


def of_users(users: Iterable[User]) -> Target:
    """Users whose rows are at hand."""
    rows = tuple(users)
    return Target("user", tuple(user.email for user in rows), rows)


def of_domain(domain: Domain) -> Target:
    return Target("domain", (domain.name,), (domain,))


def user_named(key: str) -> Target | None:
    """The user of an address."""
    user = User.objects.select_related("domain").filter(email=key_of(key)).first() if "@" in key else None
    return of_users([user]) if user is not None else None


def domain_named(key: str) -> Target | None:
    """A domain, of this server or any other; only of this server's own there is a row."""
    name = key_of(f"@{key}")[1:]
    rows = tuple(Domain.objects.filter(name=name))
    return Target("domain", (name,), rows) if name and len(name) < 256 and "@" not in name else None


def list_named(key: str) -> Target | None:
    """The mailing list of an address."""
    row = MailingList.objects.select_related("domain").filter(address=key_of(key)).first()
    return Target("list", (row.address,), (row,)) if row is not None else None


def alias_named(key: str) -> Target | None:
    """The alias of an address."""
    row = Alias.objects.select_related("domain").filter(address=key_of(key)).first()
    return Target("alias", (row.address,), (row,)) if row is not None else None


def also_user(target: Target) -> Iterable[Target]:
    """Who sends with an address of this server may be its user."""
    found = user_named(target.key) if target.kind in ("sender", "login") else None
    return [found] if found is not None else []
