"""What an action asks for, described once: pages draw their dialogs from it, commands their options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext as _

from base.texts import Text

# "choices" are several of them; "switch" is on, off, or left as it is; "password" is never shown again.
Kind = Literal["text", "area", "check", "choice", "choices", "switch", "number", "moment", "password"]


@dataclass(frozen=True, slots=True)
class Input:
    """One value that an action's `parameters` take under `name`.

    `label`, `placeholder` and `help` are what a dialog shows. A command has the option --`name`, or takes the value by
    its place when `is_positional`; its help is `option_help`, and `metavar` stands for the value there. `option` is its
    name there, where that is another. `suggest` gives what a dialog says before anybody has typed, if that is not the
    first choice; `labels` say choices to people. Of "choices" there may be none where they depend on the thing: the
    action's `inputs_for` has them then, and its `parameters` look at what was chosen.
    """

    name: str
    label: Text
    kind: Kind = "text"
    placeholder: Text = ""
    help: Text = ""
    choices: tuple[str, ...] = ()
    option_help: str = ""
    metavar: str = ""
    is_positional: bool = False
    suggest: Callable[[], str] | None = None
    option: str = ""
    labels: tuple[Text, ...] = ()

    @property
    def first_value(self) -> str:
        """What a dialog says before anybody has typed."""
        if self.suggest is not None:
            return self.suggest()
        return self.choices[0] if self.choices and self.kind == "choice" else ""

    @property
    def labelled(self) -> list[tuple[str, Text]]:
        """The choices, each with what people read."""
        return list(zip(self.choices, self.labels or self.choices, strict=True))

    def read(self, value: Any) -> Any:
        """What was typed or chosen, as an action takes it; None is what was left out. Raises ValueError."""
        match self.kind:
            case "check":
                return value not in (None, "", False, "0")
            case "switch":
                return None if value in (None, "") else value in (True, "on", "1")
            case "choices":
                chosen = [value] if isinstance(value, str) else list(value or ())
                return [self._one_of(choice) for choice in chosen if choice]
            case "number":
                return None if value in (None, "") else self._number(value)
            case "choice":
                return self._one_of(value) if value else ""
        return "" if value is None else value

    def _one_of(self, value: Any) -> str:
        if self.choices and value not in self.choices:
            raise ValueError(
                _("%(field)s: %(value)s is none of %(choices)s.")
                % {"field": self.label, "value": value, "choices": ", ".join(self.choices)}
            )
        return str(value)

    def _number(self, value: Any) -> int:
        text = str(value).strip()
        # Which numbers may be is the row's to say.
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
            raise ValueError(_("%(field)s: write a whole number.") % {"field": self.label})
        return int(text)
