"""What a search found, as the list below the field draws it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One line: a link, or a button that opens the dialog of an action."""

    label: str
    icon: str
    detail: str = ""
    link: str = ""
    dialog: str = ""
    vals: str = ""
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Results of one kind."""

    title: str
    results: list[Result]
