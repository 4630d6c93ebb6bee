"""An action's inputs as the options of a command."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from base.actions.action import Action
from base.actions.inputs import Input

PREFIX = "input_"


def add_inputs(parser: argparse.ArgumentParser, action: Action) -> None:
    """An option for each, or a place. A command may have a condition or a target of the same name: see `given`."""
    group = parser.add_mutually_exclusive_group(required=True) if action.wants_one_input else parser
    for one in action.inputs:
        if one.is_positional:
            text = f"{one.option_help}: {', '.join(one.choices)}"
            group.add_argument(_place(one), choices=one.choices, metavar=one.name.upper(), help=text)
            continue
        option = one.option or f"--{one.name.replace('_', '-')}"
        group.add_argument(option, dest=_place(one), help=one.option_help, **_reading(one))


def given(action: Action, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the options say, by the names of the inputs; what was left out is not there."""
    values = {one.name: options[_place(one)] for one in action.inputs}
    return {name: value for name, value in values.items() if value is not None}


def _reading(one: Input) -> dict[str, Any]:
    metavar = one.metavar or one.name.upper()
    match one.kind:
        case "check":
            return {"action": "store_true"}
        case "switch":
            return {"action": argparse.BooleanOptionalAction, "default": None}
        case "choices":
            return (
                {"action": "append", "choices": one.choices}
                if one.choices
                else {"action": "append", "metavar": metavar}
            )
        case "choice":
            return {"choices": one.choices, "default": None}
        case "number":
            return {"type": int, "metavar": metavar}
        case "password":
            return {"metavar": metavar}
    return {"default": "", "metavar": metavar}


def _place(one: Input) -> str:
    return f"{PREFIX}{one.name}"
