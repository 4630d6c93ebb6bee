"""What an action asks for, described once: pages draw their dialogs from it, commands their options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "area", "check", "choice", "moment"]


@dataclass(frozen=True, slots=True)
class Input:
    """One value that an action's `parameters` take under `name`.

    `label`, `placeholder` and `help` are what a dialog shows. A command has the option --`name`, or takes the value by
    its place when `is_positional`; its help is `option_help`, and `metavar` stands for the value there. `suggest` gives
    what a dialog says before anybody has typed, if that is not the first choice.
    """

    name: str
    label: str
    kind: Kind = "text"
    placeholder: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    option_help: str = ""
    metavar: str = ""
    is_positional: bool = False
    suggest: Callable[[], str] | None = None

    @property
    def first_value(self) -> str:
        """What a dialog says before anybody has typed."""
        if self.suggest is not None:
            return self.suggest()
        return self.choices[0] if self.choices else ""
