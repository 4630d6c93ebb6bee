"""What can be done from the pages: the buttons, and the fields that each action's dialog asks for.

Nothing is done here: spool.actions is what pages, commands and jobs call.
"""

from __future__ import annotations

from dataclasses import dataclass

from spool.actions import folders
from spool.models import Entry


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a dialog. `kind` is the template that draws it: text, area, check, choice or moment."""

    name: str
    label: str
    kind: str = "text"
    placeholder: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Button:
    """One action. `url` is its name in spool.actions, or `export`; `agree` is what its last button says."""

    url: str
    title: str
    icon: str
    agree: str
    inputs: tuple[Input, ...] = ()
    danger: bool = False


_REDIRECT = (
    Input("next_hop", "By another host", placeholder="relay.example.net or 192.0.2.9:25",
          help="Write usual to go back to the ordinary route."),
    Input("to", "Or to other recipients", "area", placeholder="One address per line"),
)  # fmt: skip
_FORMATS = ("zip", "mbox", "csv", "json")

ACTIONS: tuple[Button, ...] = (
    Button("force", "Force", "bolt", "Force"),
    Button("reset", "Reset Retries", "restart_alt", "Reset Retries"),
    Button("priority", "Change Priority", "low_priority", "Change Priority",
           (Input("priority", "Priority", "choice", choices=("high", "normal", "low")),)),
    Button("hold", "Hold", "pause_circle", "Hold",
           (Input("reason", "Reason", placeholder="Seen by everyone who opens the message"),
            Input("until", "Until", "moment", help="Leave empty to hold until somebody releases it."))),
    Button("release", "Release", "play_circle", "Release"),
    Button("redirect", "Redirect", "alt_route", "Redirect", _REDIRECT),
    Button("resend", "Resend a copy", "forward_to_inbox", "Send the copy",
           (Input("to", "To", "area", placeholder="One address per line; empty for the recipients it has"),)),
    Button("move", "Move Messages", "drive_file_move", "Move",
           (Input("folder", "Folder", help="Only below the folders that the settings allow."),)),
    Button("export", "Export", "file_save", "Export", (Input("format", "Format", "choice", choices=_FORMATS),)),
    Button("delete", "Delete", "delete", "Delete",
           (Input("bounce", "Tell each sender by a bounce", "check"),), danger=True),
)  # fmt: skip
# Of the page of the trash.
EMPTY_TRASH = Button("empty-trash", "Empty trash", "delete_forever", "Delete for good", danger=True)
BY_NAME = {button.url: button for button in (*ACTIONS, EMPTY_TRASH)}


def actions_for(entry: Entry) -> list[Button]:
    """The buttons that make sense for one entry."""
    senseless = {"hold"} if entry.hold else {"release"}
    return [button for button in ACTIONS if button.url not in senseless]


def first_values(button: Button) -> dict[str, str]:
    """What a dialog's fields say before anybody has typed."""
    if button.url == "move":
        return {"folder": str(folders.roots()[0])}
    return {field.name: field.choices[0] for field in button.inputs if field.kind == "choice"}
