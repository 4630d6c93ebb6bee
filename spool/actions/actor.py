"""Who acts, and what that person may do: the one place that looks at roles."""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from accounts.models import Role, User
from spool.filters import SpoolFilter


class NotAllowed(Exception):
    """The person's role does not reach that far."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The person behind a page, command or job. `source` is page, shell or system."""

    name: str
    role: Role
    domain: str = ""
    source: str = "page"

    @classmethod
    def of(cls, user: User) -> Actor:
        """The user of a page."""
        domain = user.domain.name if user.domain is not None else ""
        return cls(user.email, Role(user.role) if user.is_active else Role.USER, domain)

    @classmethod
    def at_the_shell(cls) -> Actor:
        """Whoever may run commands on this machine reads the spool's files anyway: a system administrator."""
        return cls(f"{getpass.getuser()} (shell)", Role.SYSTEM_ADMINISTRATOR, source="shell")

    @classmethod
    def system(cls) -> Actor:
        """Mailspool itself: releases that were set for a time, for example."""
        return cls("mailspool", Role.SYSTEM_ADMINISTRATOR, source="system")

    def require_actions(self) -> None:
        """Raises NotAllowed for all but system administrators."""
        if self.role is not Role.SYSTEM_ADMINISTRATOR:
            raise NotAllowed("Only a system administrator may change what is in the spool.")

    def view(self, chosen: SpoolFilter) -> SpoolFilter:
        """`chosen`, as far as this person may look. Raises NotAllowed.

        A domain administrator sees what was sent from their domain, and searches it by sender, status and time.
        """
        if self.role is Role.SYSTEM_ADMINISTRATOR:
            return chosen
        if self.role is not Role.DOMAIN_ADMINISTRATOR or not self.domain:
            raise NotAllowed("Only administrators may look into the spool.")
        if asked := set(chosen.texts()) - {"sender", "status", "older", "younger"}:
            raise NotAllowed(f"A domain administrator searches by sender, not by {min(asked)}.")
        return chosen.limited_to(self.domain)
