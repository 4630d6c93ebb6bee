"""What the menu of a row offers, and does: thin doors to the actions of the rooms below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailspool.overview.rows import Known
from mailspool.overview.tables import Table
from spool.actions import Actor, Refused

__all__ = ["Deed", "Done", "Item", "Question", "Refused", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """One row: its table, its key, and what is known of it."""

    table: Table
    key: str
    known: Known


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be agreed to before something is done."""

    title: str
    effect: str
    agree: str
    danger: bool = False
    # Of an action that goes both ways: which of them was agreed to, whatever others did meanwhile.
    wanted: str = ""
    # A proposal, of an action that needs a new password.
    password: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it, for the person who did it."""

    sentence: str
    good: bool = True


class Deed:
    """One entry of the menu that goes both ways: what it is called depends on how things are."""

    name: str
    icon: str

    def offered(self, target: Target) -> bool:
        """Whether this row can have it."""
        raise NotImplementedError

    def label(self, target: Target) -> str:
        raise NotImplementedError

    def question(self, target: Target) -> Question:
        raise NotImplementedError

    def do(self, actor: Actor, target: Target, given: Mapping[str, str]) -> Done:
        """Do it. Raises Refused with a sentence, and NotAllowed."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as the template draws it: a link, a form that is posted, or a button that opens a dialog."""

    label: str
    icon: str
    url: str = ""
    vals: str = ""
    link: str = ""
    post_to: str = ""
    values: dict[str, str] = field(default_factory=dict)
    danger: bool = False
