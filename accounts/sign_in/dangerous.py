"""Before which steps whoever sits there proves anew that it is still they: the one table of it.

What gives access, or gives it back; what takes mail or its contents where nobody gets it back from; and what undoes an
incident's end. A step is a page by the name of its URL, with what is sent to it where that makes the difference. Roles
are changed in forms that change other things as well: those ask by themselves (`accounts.admin.users`,
`mailspool.portal.domain`), by the same `session.recent_enough`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.models.sign_in import SignInSettings
from base.declared_settings import slug_of

_SENT: Final = frozenset({"POST"})
_ANYHOW: Final = frozenset({"GET", "POST"})

# Actions on one thing (base.actions), by name, wherever they are done.
ACTIONS: Final = frozenset({"stop", "false-alarm", "uncontain", "password", "dkim-retire", "dkim-remove"})
# Actions on messages (spool.actions) that take what stands in them elsewhere; and those that ask when they are for all
# that a list shows.
OF_MESSAGES: Final = frozenset({"redirect", "resend", "move", "empty-trash"})
OF_QUARANTINED: Final = frozenset({"move", "purge"})
OF_ALL: Final = frozenset({"delete"})


@dataclass(frozen=True, slots=True)
class Step:
    """A request that asks. `given` are the values that make it one, of arguments in the URL or fields that are sent."""

    methods: frozenset[str] = _SENT
    given: tuple[tuple[str, frozenset[str]], ...] = ()

    def is_meant(self, method: str, sent: Mapping[str, Any]) -> bool:
        return method in self.methods and all(sent.get(name, "") in values for name, values in self.given)


def _named(names: frozenset[str], methods: frozenset[str] = _SENT) -> tuple[Step, ...]:
    return (Step(methods, (("name", names),)),)


def _of_list(names: frozenset[str]) -> tuple[Step, ...]:
    return (*_named(names), Step(_SENT, (("name", OF_ALL), ("all", frozenset({"1"})))))


_PAGE: Final = (Step(),)
_RELAYS: Final = (Step(_SENT, (("auth_bypass", frozenset({"on"})),)),)
_REMOVE_CHOSEN: Final = (Step(_SENT, (("action", frozenset({"delete_selected"})),)),)
STEPS: Final[Mapping[str, tuple[Step, ...]]] = {
    # Access: one's own, and that of others.
    "portal:add_app": (Step(_ANYHOW),),
    "portal:passkey_to_add": _PAGE,
    "portal:add_passkey": _PAGE,
    "portal:remove_factor": _PAGE,
    "portal:renew_codes": _PAGE,
    "portal:add_app_password": _PAGE,
    "portal:end_app_password": _PAGE,
    "portal:unlink": _PAGE,
    "portal:remove_user_factors": _PAGE,
    "admin:accounts_user_password": (Step(_ANYHOW),),
    "admin:accounts_user_remove_factors": _PAGE,
    "admin:accounts_user_contain": (Step(_SENT, (("do", frozenset({"reopen", "false-alarm"})),)),),
    "admin:accounts_signinsettings_change": _PAGE,
    "settings_section": (
        Step(_SENT, (("slug", frozenset(slug_of(SignInSettings, one) for one in SignInSettings.sections)),)),
    ),
    "hijack:acquire": _PAGE,
    # Who may send to anybody without a login.
    "admin:security_whitelistentry_add": _RELAYS,
    "admin:security_whitelistentry_change": _RELAYS,
    # Accounts that are gone, and everything that was theirs.
    "admin:accounts_user_delete": _PAGE,
    "admin:accounts_domain_delete": _PAGE,
    "admin:accounts_user_changelist": _REMOVE_CHOSEN,
    "admin:accounts_domain_changelist": _REMOVE_CHOSEN,
    "portal:remove_users": _PAGE,
    # Actions.
    "thing_dialog": _named(ACTIONS),
    "thing_act": _named(ACTIONS),
    "portal:act": _named(ACTIONS, _ANYHOW),
    "admin:spool_entry_dialog": _of_list(OF_MESSAGES),
    "admin:spool_entry_perform": _of_list(OF_MESSAGES),
    "admin:quarantine_item_dialog": _of_list(OF_QUARANTINED),
    "admin:quarantine_item_perform": _of_list(OF_QUARANTINED),
    # Whole messages, as files.
    "admin:spool_entry_download": (Step(_ANYHOW),),
    "admin:quarantine_item_download": (Step(_ANYHOW),),
}


def asks(url_name: str, method: str, sent: Mapping[str, Any]) -> bool:
    """Whether a request is one of the steps. `sent` are the arguments of its URL and what it sends."""
    return any(step.is_meant(method, sent) for step in STEPS.get(url_name, ()))
