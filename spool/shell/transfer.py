"""Verbs that carry messages between spools: import, and export to a folder."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

from spool.actions import Actor, Refused
from spool.actions.export_folder import copy_out
from spool.actions.import_folder import KNOWN, NOBODY, REFUSED, TAKEN, default_reason, import_folder
from spool.filters import SpoolFilter
from spool.message.summary import storable
from spool.shell.output import NOTHING, USAGE, Ended, Output, add_json

_SAID = {
    TAKEN: "taken",
    KNOWN: "skipped",
    NOBODY: "skipped",
    REFUSED: "refused",
}


def add_parsers(verbs: Any) -> None:
    parser = verbs.add_parser(
        "import",
        help="messages with their envelopes, from a folder of files",
        description="Take messages into the spool from a folder: an .eml with the JSON of its envelope beside it, or"
        " with X-Sender and X-Receiver fields, or a .postcat, the output of Postfix's postcat -q. What was imported"
        " before is skipped, so an import that was interrupted is run again. docs/moving.md has recipes.",
    )
    parser.add_argument("folder", type=Path, help="where they are")
    parser.add_argument("--hold", action="store_true", help="put them on hold, to look at them first")
    parser.add_argument("--move", action="store_true", help="remove the files of those that are safe in the spool")
    parser.add_argument("--dry-run", action="store_true", help="only say what would become of each")
    parser.add_argument("--quiet", action="store_true", help="name only those that are refused")
    add_json(parser)
    parser.set_defaults(run=_import)


def _import(options: dict[str, Any], output: Output) -> None:
    hold = default_reason() if options["hold"] else ""
    counted: Counter[str] = Counter()
    rows = []
    try:
        for fate in import_folder(
            options["folder"], Actor.at_the_shell(), hold=hold, move=options["move"], dry_run=options["dry_run"]
        ):
            counted[fate.fate] += 1
            if fate.fate == REFUSED or not options["quiet"]:
                rows.append(dataclasses.asdict(fate)) if output.as_json else output.line(_line(fate))
    except Refused as error:
        raise Ended(NOTHING, f"{error} So far: {_totals(counted)}.") from error
    output.line(f"{'It would be: ' if options['dry_run'] else ''}{_totals(counted)}.")
    totals = {name: counted[name] for name in (TAKEN, KNOWN, NOBODY, REFUSED)}
    output.values({"messages": rows, "totals": totals, "dry_run": options["dry_run"]})
    if counted[REFUSED] or not counted:
        raise Ended(NOTHING, "" if counted else "There are no messages in that folder.")


def _line(fate: Any) -> str:
    name = storable(fate.name)
    if fate.fate == TAKEN:
        return f"{name}: taken as {fate.file_name}, {fate.recipients} recipients"
    return f"{name}: {_SAID[fate.fate]} ({fate.why})"


def _totals(counted: Counter[str]) -> str:
    return f"{counted[TAKEN]:,} taken, {counted[KNOWN] + counted[NOBODY]:,} skipped, {counted[REFUSED]:,} refused"


def export_to_folder(wanted: SpoolFilter, options: dict[str, Any], output: Output) -> None:
    """`spool export --format folder --output FOLDER`."""
    if options["output"] == "-":
        raise Ended(USAGE, "Say which folder, by --output.")
    path = Path(options["output"])
    copied = copy_out(wanted, path, Actor.at_the_shell())
    output.line(
        f"{copied.done:,} messages in {path}" + (f", {copied.left:,} not: {copied.problem}" if copied.left else "")
    )
    if copied.on_the_wire:
        output.line(f"{copied.on_the_wire:,} of them were being delivered meanwhile: export those again.")
    output.values({"folder": str(path), **dataclasses.asdict(copied)})
    if not copied.done or copied.left:
        raise Ended(NOTHING)
