"""What can be done to accounts, in the order of their menus (base.actions.registry)."""

from __future__ import annotations

from accounts import account_actions, actions, containing, impersonation, securing
from accounts.connections.registry import DROP

KINDS = {
    "user": account_actions.user_named,
    "domain": account_actions.domain_named,
    "alias": account_actions.alias_named,
    "list": account_actions.list_named,
}
ALSO = (account_actions.also_user,)
ACTIONS = (
    impersonation.MANAGE,
    containing.REVIEW,
    securing.CHANGE_PASSWORD,
    DROP,
    securing.LET_RECEIVE_ONLY,
    securing.ENABLE,
    securing.DISABLE,
    containing.CONTAIN,
    containing.CONTAIN_AGAIN,
    containing.UNCONTAIN,
    containing.STOP_FORWARDING,
    actions.SWITCH_OFF,
    actions.SWITCH_ON,
)
