"""What can be done to a thing of some kind, by whom: the one menu that it has wherever it is named.

An app that has actions on things says so in its module `offers`, which is loaded when somebody asks for the first time:

- ACTIONS, in the order in which menus have them; a name is there once for each kind;
- KINDS, by kind a function that looks up the thing that a key names, or says by None that there is none;
- ALSO, functions that say what a thing is besides: the sender of a message may be a user of this server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from base.action import Who
from base.actions.action import NotAllowed, SingleAction, Target

MODULE = "offers"


@dataclass(frozen=True, slots=True)
class Offer:
    """An action that somebody may do to a thing, as it is now."""

    action: SingleAction[Any]
    target: Target


@dataclass(frozen=True, slots=True)
class _Offered:
    """What all apps together have."""

    actions: tuple[SingleAction[Any], ...]
    kinds: dict[str, Callable[[str], Target | None]]
    also: tuple[Callable[[Target], Iterable[Target]], ...]


@cache
def _offered() -> _Offered:
    modules = [
        import_module(f"{app.name}.{MODULE}")
        for app in apps.get_app_configs()
        if app.module is not None and module_has_submodule(app.module, MODULE)
    ]
    actions = [action for module in modules for action in module.ACTIONS]
    return _Offered(
        tuple(sorted(actions, key=lambda action: not action.comes_first)),
        {kind: look_up for module in modules for kind, look_up in getattr(module, "KINDS", {}).items()},
        tuple(also for module in modules for also in getattr(module, "ALSO", ())),
    )


def all_actions() -> tuple[SingleAction[Any], ...]:
    """Of every app, in the order of menus."""
    return _offered().actions


def find(kind: str, name: str) -> SingleAction[Any] | None:
    """The action of that name for things of a kind."""
    return next((action for action in all_actions() if action.name == name and kind in action.kinds), None)


def thing(kind: str, key: str) -> Target | None:
    """What a key names; None where there is no such thing."""
    look_up = _offered().kinds.get(kind)
    return look_up(key) if look_up is not None else None


def actions_for(kind: str, key: str, actor: Who) -> list[Offer]:
    """What this person may do to a thing as it is now, in the order of its menu; nothing where there is none."""
    target = thing(kind, key)
    if target is None:
        return []
    targets = [target, *(other for also in _offered().also for other in also(target))]
    return [
        Offer(action, one)
        for action in all_actions()
        for one in targets
        if one.kind in (action.kinds if action.menu_kinds is None else action.menu_kinds)
        and is_offered(action, one, actor)
        and action.is_due(one)
    ]


def is_offered(action: SingleAction[Any], target: Target, actor: Who) -> bool:
    """Whether this person can do it to such a thing at all."""
    if target.kind not in action.kinds or not action.suits(target):
        return False
    try:
        action.require(actor, target)
    except NotAllowed:
        return False
    return True
