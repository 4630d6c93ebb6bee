"""The columns of each kind of row: what they are called, and from a file's value to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, IntegerField, Model

from accounts import fields
from accounts.addresses import InvalidAddress, normalise_address, normalise_domain, split_address
from accounts.fields import INHERIT_WORD, INHERITED
from accounts.models import DomainUserDefaults, ListMember

LONGEST_PASSWORD = 600


class BadRow(Exception):
    """The row can't be what it says; the text says why, and holds no password."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row. `fields` are those of the model that a column of the same name fills; `more` have rules of
    their own.
    """

    name: str
    model: type[Model]
    fields: tuple[str, ...]
    more: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return ("address", *self.more, *self.fields)


def _of(kind: fields.Kind, *more: str) -> Kind:
    """Rows of accounts, of which the columns `more` are not simply a field of theirs."""
    return Kind(kind.name, kind.model, tuple(name for name in kind.fields if name not in more), more)


# In the order of an export: what others need comes first.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _of(fields.DOMAIN),
        Kind("defaults", DomainUserDefaults, fields.USER_DEFAULTS.fields),
        _of(fields.USER, "password", "forward_to"),
        _of(fields.ALIAS, "to"),
        _of(fields.LIST, "owner"),
        Kind("member", ListMember, ("enabled",), ("member",)),
    )
}
COLUMNS = ("kind", *dict.fromkeys(column for kind in KINDS.values() for column in kind.columns))


@dataclass(slots=True)
class Row:
    """One row of a file, understood: only what it says is in `values` (fields of the model) and `more`."""

    line: int
    kind: Kind
    address: str
    values: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, ...]:
        """What no second row of a file may have."""
        if self.kind.name == "member":
            return ("member", self.address, self.more["member"])
        return ("defaults" if self.kind.name == "defaults" else "", self.address)


def kind_of(said: Any, otherwise: str) -> Kind:
    """The kind that a row names. Raises BadRow."""
    kind = KINDS.get(str(said or otherwise).strip().lower())
    if kind is None:
        raise BadRow(f"{_shown(said)} is none of the kinds {', '.join(KINDS)}")
    return kind


def understood(line: int, kind: Kind, given: Mapping[str, Any]) -> Row:
    """A file's row as ours. Raises BadRow."""
    said = {name: value for name, value in given.items() if name != "kind" and value is not None}
    if foreign := [name for name in said if name not in kind.columns]:
        raise BadRow(f"a row of kind {kind.name} has no {', '.join(map(_shown, foreign))}")
    if not said.get("address"):
        raise BadRow("it has no address")
    try:
        is_domain = kind.name in ("domain", "defaults")
        row = Row(line, kind, (normalise_domain if is_domain else normalise_address)(str(said.pop("address")).strip()))
        for name in kind.more:
            if name in said:
                row.more[name] = _more(name, said.pop(name))
    except InvalidAddress as error:
        raise BadRow(str(error)) from error
    for name, value in said.items():
        row.values[name] = _value(kind.model, name, value)
    _require(row)
    return row


def _require(row: Row) -> None:
    name = row.kind.name
    if name == "member" and "member" not in row.more:
        raise BadRow("it has no member")
    if name == "alias" and (wrong := fields.refuse_itself(row.address, row.more.get("to", ()))):
        raise BadRow(wrong)


def _more(name: str, value: Any) -> Any:
    if name == "to":
        return list(dict.fromkeys(normalise_address(one) for one in _several(value)))
    if name == "forward_to":
        # As they are written: what is elsewhere may tell upper from lower case.
        return ["@".join(split_address(one)) for one in _several(value)]
    if not isinstance(value, str):
        raise BadRow(f"{name} is not a text")
    if name == "password":
        if len(value) > LONGEST_PASSWORD:
            raise BadRow(f"its password or hash is longer than {LONGEST_PASSWORD} characters")
        return value
    return normalise_address(value) if value else ""


# Addresses one after the other; one whose local part is quoted may have blanks and commas there.
_ONE = re.compile(r'(?:"(?:\\.|[^"\\]){0,256}"|[^\s,"])+')


def _several(value: Any) -> list[str]:
    if isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            raise BadRow("one of its addresses is not a text")
        return value
    return _ONE.findall(str(value))


_YES, _NO = ("yes", "true", "1", "y"), ("no", "false", "0", "n")


def _value(model: type[Model], name: str, value: Any) -> Any:
    """The value of a model's field. Raises BadRow."""
    column: Any = model._meta.get_field(name)
    if isinstance(column, BooleanField):
        word = str(value).strip().lower()
        if word not in (*_YES, *_NO):
            raise BadRow(f"{name} is yes or no, not {_shown(value)}")
        return word in _YES
    if isinstance(value, bool | list | dict | float):
        raise BadRow(f"{name} can't be {_shown(value)}")
    if isinstance(column, IntegerField):
        if not re.fullmatch(r"[0-9]{1,12}", str(value).strip()):
            raise BadRow(f"{name} is a whole number, not {_shown(value)}")
        value = int(str(value).strip())
    else:
        value = str(value).strip()
        if not value.isprintable():
            raise BadRow(f"{name} has a control character, or something else that is no text")
        if column.choices:
            value = "" if value.lower() == INHERIT_WORD and name in INHERITED else value.lower()
    try:
        return column.clean(value, None)
    except ValidationError as error:
        raise BadRow(f"{name}: {' '.join(error.messages)}") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
