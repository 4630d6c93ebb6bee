"""Command-line options for fields of models: their names, help, choices and units are the model's."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import BooleanField, Field, IntegerField, Model

from accounts.addresses import validate_address
from accounts.fields import INHERIT_WORD, INHERITED
from accounts.models.spam import INHERIT

# Where an option is not called like its field.
_NAMES = {"bandwidth_mb_per_hour": "--bandwidth-per-hour", "forward_keeps_copy": "--keep-copy"}


def add_options(parser: argparse.ArgumentParser, model: type[Model], names: Iterable[str]) -> None:
    """An option for each of these fields; without it the field is None."""
    for name in names:
        option = _NAMES.get(name, f"--{name.replace('_', '-')}")
        parser.add_argument(option, dest=name, default=None, **_arguments(model._meta.get_field(name)))


def _arguments(field: Any) -> dict[str, Any]:
    said = _said(field)
    if isinstance(field, BooleanField):
        return {"action": argparse.BooleanOptionalAction, "help": said}
    if isinstance(field, IntegerField):
        unit = re.search(r"\((\w+)\)", str(field.verbose_name))
        return {"type": int, "metavar": unit[1] if unit else "N", "help": said}
    if field.choices:
        values = [value for value, _ in field.choices if value]
        if field.name in INHERITED:
            offered = f"{', '.join(values)} or {INHERIT_WORD}"
            return {"type": _or_inherit(values), "metavar": "CHOICE", "help": f"{said}: {offered}"}
        meanings = ", ".join(f"{value} ({label.lower()})" for value, label in field.choices)
        return {"choices": values, "help": f"{said}: {meanings}"}
    return {"metavar": "ADDRESS" if validate_address in field.validators else "TEXT", "help": said}


def _said(field: Field[Any, Any]) -> str:
    """The help of an option: what the field's says, in the manner of the command line."""
    text = str(field.help_text or field.verbose_name).removesuffix(".")
    if text[0].isdigit():
        text = f"{field.verbose_name}; {text}"
    return f"{text[:1].lower()}{text[1:]}".replace("%", "%%")


def _or_inherit(values: list[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in (*values, INHERIT_WORD):
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(values)}, {INHERIT_WORD}")
        return INHERIT if text == INHERIT_WORD else text

    return read
