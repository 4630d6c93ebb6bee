"""Who acts, and what that person may do in the spool: the one place that looks at roles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.actor import Actor as AccountsActor
from accounts.actor import NotAllowed
from accounts.models import Role
from accounts.reach import Right, inputs_beyond, right_for
from spool.filters import SpoolFilter

__all__ = ["Actor", "NotAllowed"]


@dataclass(frozen=True, slots=True)
class Actor(AccountsActor):
    """The person behind a page, command or job, as far as the spool is concerned."""

    def require_actions(self) -> None:
        """Raises NotAllowed for all but system administrators: for what is about more than one action on messages."""
        if not self.may(Right.ADMINISTER):
            raise NotAllowed(_("Only a system administrator may change what is in the spool."))

    def require_verb(self, verb: str, inputs: Iterable[str] = ()) -> None:
        """Raises NotAllowed unless this person's role does the action, and gives those inputs of it."""
        if not self.may(right_for(verb)):
            raise NotAllowed(_("Your role does not reach that far: ask a system administrator."))
        if beyond := inputs_beyond(verb, self.role).intersection(inputs):
            raise NotAllowed(
                _("Your role does not choose “%(beyond)s”: ask a system administrator.") % {"beyond": min(beyond)}
            )

    def view(self, chosen: SpoolFilter) -> SpoolFilter:
        """`chosen`, as far as this person may look. Raises NotAllowed.

        A domain administrator sees what was sent from their domain, and searches it by sender, by the user who sent it,
        by status and by time.
        """
        if self.role is Role.SYSTEM_ADMINISTRATOR:
            return chosen
        if self.role is not Role.DOMAIN_ADMINISTRATOR or not self.domain:
            raise NotAllowed(_("Only administrators may look into the spool."))
        if asked := set(chosen.texts()) - {"sender", "auth-user", "status", "older", "younger"}:
            raise NotAllowed(_("A domain administrator searches by sender, not by %(asked)s.") % {"asked": min(asked)})
        return chosen.limited_to(self.domain)
