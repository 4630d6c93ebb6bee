"""The way to the page, from the menu of whatever it can be about."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _lazy

from accounts.account_actions import user_named
from accounts.actor import Actor
from base.actions.action import Opening, Target
from mailspool.incident.things import page_of


class LookInto(Opening[Actor]):
    """Shows all that is known of it: what it sends, from where, whereto, and what became of that."""

    name, label, icon = "look-into", _lazy("Look into it"), "manage_search"
    kinds = ("user", "sender", "ip", "domain")
    comes_first = True

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()

    def is_due(self, target: Target) -> bool:
        # An address of an account has the page of the account, which leads to that of the address.
        return target.kind != "sender" or user_named(target.key) is None

    def place(self, target: Target) -> str:
        return page_of(target.kind, target.key)


LOOK_INTO = LookInto()
