"""Who acts on accounts, and how far that person's role reaches."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import Final, Self

from django.utils.translation import gettext as _

from accounts.addresses import key_of
from accounts.models import Alias, Domain, MailingList, Role, User
from accounts.reach import Right, has
from base.actions.action import NotAllowed
from base.facts import fact

__all__ = ["SYSTEM", "Actor", "NotAllowed"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The person behind a page, command or job. `source` is page, shell or system."""

    name: str
    role: Role
    domain: str = ""
    source: str = "page"

    @classmethod
    def of(cls, user: User, *, impersonator: str = "") -> Self:
        """The user of a page; with the administrator who acts in that user's place, where there is one."""
        domain = user.domain.name if user.domain is not None else ""
        name = f"{impersonator} as {user.email}" if impersonator else user.email
        return cls(name[:254], Role(user.role) if user.is_active or impersonator else Role.USER, domain)

    @classmethod
    def at_the_shell(cls) -> Self:
        """Whoever may run commands on this machine reads the spool's files anyway: a system administrator."""
        return cls(f"{getpass.getuser()} (shell)", Role.SYSTEM_ADMINISTRATOR, source="shell")

    @classmethod
    def system(cls) -> Self:
        """Mailspool itself: releases that were set for a time, for example."""
        return cls("mailspool", Role.SYSTEM_ADMINISTRATOR, source="system")

    def is_person(self, user: User) -> bool:
        """Whether this is that user, or somebody in that user's place."""
        return self.name == user.email or self.name.endswith(f" as {user.email}")

    def may(self, right: Right) -> bool:
        """Whether this person's role has a right in the console."""
        return has(self.role, right)

    def require_administration(self) -> None:
        """Raises NotAllowed for all but system administrators."""
        if not self.may(Right.ADMINISTER):
            raise NotAllowed(_("Only a system administrator may do that."))

    def require_domain(self, domain: Domain | None) -> None:
        """Raises NotAllowed unless the domain is this person's to administer."""
        if self.role is Role.SYSTEM_ADMINISTRATOR:
            return
        if self.role is not Role.DOMAIN_ADMINISTRATOR or domain is None or domain.name != self.domain:
            raise NotAllowed(_("Only an administrator of the domain may do that."))

    def require_address(self, address: str) -> None:
        """Raises NotAllowed unless the address lies in a domain that is this person's to administer."""
        if self.role is Role.SYSTEM_ADMINISTRATOR:
            return
        if self.role is not Role.DOMAIN_ADMINISTRATOR or key_of(address).rpartition("@")[2] != self.domain:
            raise NotAllowed(_("Only an administrator of the domain may do that."))

    def require_row(self, row: Domain | User | Alias | MailingList) -> None:
        """Raises NotAllowed unless a row of the accounts is this person's to change."""
        if isinstance(row, User):
            self.require_user(row)
        elif isinstance(row, Domain):
            self.require_administration()
        else:
            self.require_address(row.address)

    def require_user(self, user: User) -> None:
        """Raises NotAllowed unless the user is this person's to administer, or is this person.

        A domain administrator does not reach who works in the console, whose address may lie in the domain.
        """
        if self.role is Role.SYSTEM_ADMINISTRATOR or self.is_person(user):
            return
        if user.is_staff:
            raise NotAllowed(
                fact("Only a system administrator may do that to %(user)s, who works in the console.", user=user.email)
            )
        self.require_domain(user.domain)


SYSTEM: Final = Actor.system()
