"""What can be done from the pages: a button for each action, made from what the action says of itself.

Nothing is done here: spool.actions is what pages, commands and jobs call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from django.utils.translation import gettext_lazy as _lazy

from accounts.reach import Right, inputs_beyond, right_for
from base.actions.inputs import Input
from base.texts import Text
from spool.actions import FORMATS, Actor
from spool.actions.verb import Verb
from spool.actions.verbs import OF_ENTRIES, OF_TRASH
from spool.models import Entry


@dataclass(frozen=True, slots=True)
class Button:
    """One action. `url` is its name in its room, or `export`; `agree` is what its last button says.

    `verb` is None for what changes nothing.
    """

    url: str
    title: Text
    icon: str
    agree: Text
    inputs: tuple[Input, ...] = ()
    danger: bool = False
    verb: Verb | None = field(default=None, compare=False)

    @classmethod
    def of(cls, verb: Verb, *, without: tuple[str, ...] = ()) -> Button:
        """The button of an action; `without` are inputs that make no sense where it stands."""
        inputs = tuple(one for one in verb.inputs if one.name not in without)
        return cls(verb.short, verb.label, verb.icon, verb.agree or verb.label, inputs, verb.danger, verb)


def export_as(forms: tuple[str, ...]) -> Button:
    """The button for a copy of what is listed, in one of these forms."""
    return Button(
        "export",
        _lazy("Export"),
        "file_save",
        _lazy("Export"),
        (Input("format", _lazy("Format"), "choice", choices=forms),),
    )


def with_export(buttons: tuple[Button, ...], forms: tuple[str, ...]) -> tuple[Button, ...]:
    """The buttons, and Export before the one that comes last, which takes away."""
    return (*buttons[:-1], export_as(forms), buttons[-1])


ACTIONS = with_export(tuple(map(Button.of, OF_ENTRIES)), tuple(FORMATS))
BY_NAME = {button.url: button for button in (*ACTIONS, *map(Button.of, OF_TRASH))}


def actions_for(entry: Entry, actor: Actor) -> list[Button]:
    """The buttons that make sense for one entry, of those that this person gets."""
    return [button for button in offered(ACTIONS, actor) if button.verb is None or button.verb.suits(entry)]


def offered(buttons: Iterable[Button], actor: Actor) -> list[Button]:
    """Those of the buttons that this person gets, each with the inputs that this person gives."""
    return [shown for button in buttons if (shown := offer(button, actor)) is not None]


def offer(button: Button, actor: Actor) -> Button | None:
    """A button as this person gets it; None where it is not for them."""
    if not actor.may(right_for(button.verb.name) if button.verb is not None else Right.ADMINISTER):
        return None
    beyond = inputs_beyond(button.verb.name, actor.role) if button.verb is not None else ()
    return replace(button, inputs=tuple(one for one in button.inputs if one.name not in beyond))
