"""An action, what it is done to, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from django.db.models import Model

from base.action import Who, record
from base.actions.inputs import Input
from base.audit.subjects import Subject, subject_of
from base.phrases import first_few
from base.texts import Text

MOST_NAMED = 20


class Refused(Exception):
    """The action can't be done as asked; the message says why, and what can."""


class NotAllowed(Exception):
    """The person's role does not reach that far."""


class Action:
    """Something that may be done, described once: its button, dialog, command and help are made from this.

    The first line of its docstring is what a command's help says.
    """

    name: ClassVar[str]
    label: ClassVar[Text]
    # Of Google's Material Symbols; and what the dialog's last button says, where that is not the label.
    icon: ClassVar[str] = ""
    agree: ClassVar[Text] = ""
    # Whether the dialog warns.
    danger: ClassVar[bool] = False
    inputs: ClassVar[tuple[Input, ...]] = ()
    # Whether exactly one of the inputs has to be given.
    wants_one_input: ClassVar[bool] = False
    undoable: ClassVar[bool] = False

    @property
    def short(self) -> str:
        """The name within its room, on pages and in the room's command."""
        return self.name

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.__doc__ or "").strip().splitlines()[0]

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given`, checked and ready for JSON. Raises Refused."""
        return {}


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is done to: one or more of a kind (user, sender, ip, domain, list, …), by the keys that name them.

    `rows` are what was looked up of them, in the order of the keys; behind those may stand what else is meant.
    """

    kind: str
    keys: tuple[str, ...]
    rows: tuple[Any, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, kind: str, *keys: str) -> Target:
        return cls(kind, keys)

    @classmethod
    def holding(cls, kind: str, *rows: Any) -> Target:
        """What rows, or a queryset, alone say; nobody looks at them before it is clear who asks."""
        return cls(kind, (), rows)

    @property
    def key(self) -> str:
        """The first; most actions are done to one."""
        return self.keys[0]

    def __str__(self) -> str:
        return first_few(list(self.keys), MOST_NAMED)


@dataclass(frozen=True, slots=True)
class Written:
    """What is written down of an action: on what, and what became of it.

    `parameters` are what its sentence is made of (base.audit.sentences); an `outcome` is one that stays as it is.
    `about` is the row, or what else it was done to; `action` its name in records, where that is not the action's own.
    """

    on: str
    outcome: str = ""
    done: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    about: Model | Subject | None = None
    action: str = ""


@dataclass(frozen=True, slots=True)
class WayBack:
    """An action that is ready to be done: the way back of another."""

    action: str
    target: Target
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class After:
    """What was done once the change was committed, as a sentence; not all of it, unless `good`.

    `result` is for whoever calls from Python, instead of that of the change.
    """

    sentence: str = ""
    good: bool = True
    result: Any = None


@dataclass(frozen=True, slots=True)
class Change:
    """What an action has changed, in its transaction.

    `then` is done after it: what others may only see once it is committed. `result` is for whoever calls from Python.
    """

    sentence: str
    entries: Sequence[Written] = ()
    result: Any = None
    then: Callable[[Sequence[Any]], After] | None = None
    undo: WayBack | None = None
    good: bool = True


A = TypeVar("A", bound=Who)


class SingleAction(Action, Generic[A]):
    """What is done at once to things of a kind: to one, or to a few together.

    The menu of whatever is of its `kinds` has it, or only that of its `menu_kinds`: others have it on a page or in a
    command of their own. `recorded` is its name in records, and `of_many` what a bulk bar says, where those differ.
    """

    kinds: ClassVar[tuple[str, ...]]
    menu_kinds: ClassVar[tuple[str, ...] | None] = None
    recorded: ClassVar[str] = ""
    # What its dialog says will happen, where that is the same for whatever is typed.
    effect_text: ClassVar[Text] = ""
    # What a page may send besides the inputs: for the way back.
    hidden: ClassVar[tuple[str, ...]] = ()
    of_many: ClassVar[Text] = ""
    # What waits for other programs does not keep a transaction open meanwhile: it opens its own, and nothing but the
    # record is written in that of `perform`.
    in_transaction: ClassVar[bool] = True
    # Whether what will happen depends on what is typed: its dialog says it anew after each change.
    effect_follows: ClassVar[bool] = False
    # Whether a page may name several things; otherwise the last that it names is meant.
    takes_many: ClassVar[bool] = False
    # Menus have it above all others.
    comes_first: ClassVar[bool] = False

    @property
    def bulk_label(self) -> Text:
        """What a bulk bar says: "Disable: no login, no mail out, no mail in"."""
        return self.of_many or self.label

    @property
    def noted(self) -> str:
        """What is noted at each of many rows that it was done to."""
        return str(self.label)

    def require(self, actor: A, target: Target) -> None:
        """Raises NotAllowed."""
        raise NotImplementedError

    def label_of(self, target: Target) -> str:
        """What a thing's menu calls it."""
        return str(self.label)

    def suits(self, target: Target) -> bool:
        """Whether such a thing can have it."""
        return True

    def is_due(self, target: Target) -> bool:
        """Whether it would change anything now: a menu has Disable or Enable."""
        return True

    def inputs_for(self, target: Target) -> tuple[Input, ...]:
        """Those that make sense for a thing."""
        return self.inputs

    def suggested(self, target: Target) -> dict[str, Any]:
        """What its dialog says at first, where that depends on the thing; the rest is said by its inputs."""
        return {}

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {one.name: one.read(given.get(one.name)) for one in self.inputs}
        except ValueError as error:
            raise Refused(str(error)) from error

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        """What will happen, as a sentence for people to agree to."""
        return str(self.effect_text) or self.summary

    def do(self, actor: A, target: Target, parameters: Mapping[str, Any]) -> Change:
        """Do it. Raises Refused; then nothing is done."""
        raise NotImplementedError

    def write(self, actor: A, entry: Written) -> Any:
        """Write down a part of it, in its transaction; `then` is given what this returns."""
        about = subject_of(entry.about) if isinstance(entry.about, Model) else entry.about
        return record(
            actor,
            self.name_of(entry),
            entry.on,
            entry.outcome,
            done=entry.done,
            parameters=entry.parameters,
            about=about,
        )

    def name_of(self, entry: Written) -> str:
        """What its record is called."""
        return entry.action or self.recorded or self.name


class Opening(SingleAction[A]):
    """What has a page of its own, where it is looked at first: its place in a menu leads there."""

    def place(self, target: Target) -> str:
        """The address of the page."""
        raise NotImplementedError

    def posted(self, target: Target) -> dict[str, str]:
        """What is sent to it, if it is a page that takes a form; nothing for a link."""
        return {}
