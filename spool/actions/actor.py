"""Who acts, and what that person may do in the spool: the one place that looks at roles."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.actor import Actor as AccountsActor
from accounts.actor import NotAllowed
from accounts.models import Role
from spool.filters import SpoolFilter

__all__ = ["Actor", "NotAllowed"]


@dataclass(frozen=True, slots=True)
class Actor(AccountsActor):
    """The person behind a page, command or job, as far as the spool is concerned."""

    def require_actions(self) -> None:
        """Raises NotAllowed for all but system administrators."""
        if self.role is not Role.SYSTEM_ADMINISTRATOR:
            raise NotAllowed("Only a system administrator may change what is in the spool.")

    def view(self, chosen: SpoolFilter) -> SpoolFilter:
        """`chosen`, as far as this person may look. Raises NotAllowed.

        A domain administrator sees what was sent from their domain, and searches it by sender, by the user who sent it,
        by status and by time.
        """
        if self.role is Role.SYSTEM_ADMINISTRATOR:
            return chosen
        if self.role is not Role.DOMAIN_ADMINISTRATOR or not self.domain:
            raise NotAllowed("Only administrators may look into the spool.")
        if asked := set(chosen.texts()) - {"sender", "auth-user", "status", "older", "younger"}:
            raise NotAllowed(f"A domain administrator searches by sender, not by {min(asked)}.")
        return chosen.limited_to(self.domain)
