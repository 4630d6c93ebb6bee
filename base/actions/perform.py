"""Doing an action: first to be told what it will do, then to do it. Pages, commands and functions all come by here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from base.action import Who
from base.actions.action import Change, Refused, SingleAction, Target, WayBack

SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do: to how many, to which for example, and in a sentence."""

    count: int
    sample: tuple[str, ...]
    effect: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it, for the person who did it; `undo` is the way back, where there is one."""

    sentence: str
    good: bool = True
    undo: WayBack | None = None
    result: Any = None


def preview(action: SingleAction[Any], actor: Who, target: Target, given: Mapping[str, Any] | None = None) -> Preview:
    """What `perform` with the same arguments would do. Raises NotAllowed and Refused."""
    parameters = _checked(action, actor, target, given or {})
    return Preview(len(target.keys), target.keys[:SAMPLE], action.effect(target, parameters), parameters)


def perform(action: SingleAction[Any], actor: Who, target: Target, given: Mapping[str, Any] | None = None) -> Done:
    """Do it, and write it down: one is never there without the other. Raises NotAllowed and Refused.

    Call it outside a transaction, or what follows the change is done before that is committed.
    """
    parameters = _checked(action, actor, target, given or {})
    if action.in_transaction:
        with transaction.atomic():
            change = action.do(actor, target, parameters)
            written = _write_down(action, actor, change)
    else:
        change = action.do(actor, target, parameters)
        with transaction.atomic():
            written = _write_down(action, actor, change)
    if change.then is None:
        return Done(change.sentence, change.good, change.undo, change.result)
    after = change.then(written)
    sentence = f"{change.sentence} {after.sentence}".strip()
    result = change.result if after.result is None else after.result
    return Done(sentence, change.good and after.good, change.undo, result)


def _checked(action: SingleAction[Any], actor: Who, target: Target, given: Mapping[str, Any]) -> dict[str, Any]:
    """Who acts is asked first of all."""
    action.require(actor, target)
    if target.kind not in action.kinds or not action.suits(target):
        raise Refused(
            _("%(label_of)s is nothing that can be done to %(target)s.")
            % {"label_of": action.label_of(target), "target": target}
        )
    return action.parameters(given)


def _write_down(action: SingleAction[Any], actor: Who, change: Change) -> list[Any]:
    return [action.write(actor, entry) for entry in change.entries]
