"""What the fields of an action's dialog say."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict

from base.actions.action import SingleAction, Target
from base.actions.inputs import Input

PREFIX = "p-"


def typed(action: SingleAction[Any], posted: QueryDict) -> dict[str, Any]:
    """What was sent: nothing but what the action takes from a page."""
    names = {one.name: one.kind for one in action.inputs} | dict.fromkeys(action.hidden, "text")
    return {
        name: posted.getlist(f"{PREFIX}{name}") if kind == "choices" else posted[f"{PREFIX}{name}"]
        for name, kind in names.items()
        if f"{PREFIX}{name}" in posted
    }


def fields(action: SingleAction[Any], target: Target, given: dict[str, Any]) -> list[tuple[Input, Any]]:
    """Each field with what it says: what was typed, or what is suggested before anybody has."""
    suggested = action.suggested(target)
    return [(one, given.get(one.name, suggested.get(one.name, one.first_value))) for one in action.inputs_for(target)]
