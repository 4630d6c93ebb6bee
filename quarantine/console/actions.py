"""The buttons of both quarantines, made from what the actions say of themselves."""

from __future__ import annotations

from typing import Final

from accounts.reach import Right
from quarantine.actions.exports import FORMATS
from quarantine.actions.verbs import ACTIONS, Purge
from quarantine.models.item import ItemKind
from spool.actions import Actor
from spool.console.actions import Button, offered, with_export

# No engine learns from viruses, and who sends them is not trusted for that.
_WITHOUT: Final[dict[ItemKind, tuple[str, ...]]] = {ItemKind.SPAM: (), ItemKind.VIRUS: ("trust", "learn")}
BUTTONS: Final[dict[ItemKind, tuple[Button, ...]]] = {
    kind: with_export(
        tuple(Button.of(verb, without=without) for verb in ACTIONS if not isinstance(verb, Purge)), FORMATS
    )
    for kind, without in _WITHOUT.items()
}


def buttons_for(kind: ItemKind, actor: Actor) -> list[Button]:
    """The buttons of one of the quarantines that this person gets."""
    if kind is ItemKind.VIRUS and not actor.may(Right.ADMINISTER):
        # What a scanner has found is let out by nobody else.
        return []
    return offered(BUTTONS[kind], actor)


def button_named(name: str, kind: ItemKind) -> Button | None:
    """The button of one of the quarantines."""
    return next((button for button in BUTTONS[kind] if button.url == name), None)
