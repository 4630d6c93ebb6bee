"""The buttons of both quarantines. `url` is the action's name in quarantine.actions without its prefix."""

from __future__ import annotations

from dataclasses import replace

from quarantine.actions.exporting import FORMATS
from quarantine.models.item import ItemKind
from spool.console.actions import Button, Input

_MOVE = Button("move", "Move Messages", "drive_file_move", "Move",
               (Input("folder", "Folder", help="Only below the folders that the settings allow."),))  # fmt: skip
_EXPORT = Button("export", "Export", "file_save", "Export", (Input("format", "Format", "choice", choices=FORMATS),))
_RESCAN = Button("rescan", "Check again", "troubleshoot", "Check again")
_DELETE = Button("delete", "Delete", "delete", "Delete", danger=True)
_REPORT_SPAM = Input("learn", "Tell the engines that it is spam", "check")
_REPORT_HAM = Input("learn", "Tell the engines that it is no spam", "check")
BUTTONS: dict[ItemKind, tuple[Button, ...]] = {
    ItemKind.SPAM: (
        Button("resend", "Resend", "outgoing_mail", "Resend",
               (Input("trust", "Trust their senders from now on", "check"), _REPORT_HAM)),
        _RESCAN, _MOVE, _EXPORT, replace(_DELETE, inputs=(_REPORT_SPAM,)),
    ),
    ItemKind.VIRUS: (Button("resend", "Resend", "outgoing_mail", "Resend"), _RESCAN, _MOVE, _EXPORT, _DELETE),
}  # fmt: skip


def button_named(name: str, kind: ItemKind) -> Button | None:
    """The button of one of the quarantines."""
    return next((button for button in BUTTONS[kind] if button.url == name), None)
