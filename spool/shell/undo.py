"""Verbs about what has left the spool, or leaves it as files: undo, put-back, export."""

from __future__ import annotations

from typing import Any

from spool.actions import FORMATS, Actor, export, put_back, undo
from spool.actions.undo_event import rows_of
from spool.filters import count
from spool.models import AuditEvent, Trashed
from spool.shell.actions import add_consent, agree, bar
from spool.shell.export_file import add_output, write_out
from spool.shell.output import NOTHING, USAGE, Ended, Output, add_filters, add_json
from spool.shell.reports import chosen
from spool.shell.transfer import export_to_folder


def add_parsers(verbs: Any) -> None:
    undoing = verbs.add_parser(
        "undo",
        help="put back what an action deleted or moved",
        description="Put back what a deletion or a move took out of the spool: by the action's number (see audit), or a"
        " single message by its file name.",
    )
    undoing.add_argument("what", help="the action's number, or a file name")
    add_consent(undoing)
    undoing.add_argument("--background", action="store_true", help="leave it to a maintenance worker")
    undoing.set_defaults(run=_undo)
    back = verbs.add_parser(
        "put-back",
        help="take moved messages into the spool again",
        description="Take the messages of a folder, an EML and a JSON each, into the spool again; the files go.",
    )
    back.add_argument("folder", nargs="?", default="", help="the folder, below an allowed one (moved/)")
    back.add_argument("names", nargs="*", help="only these messages, by their file names")
    add_consent(back)
    back.set_defaults(run=_put_back)
    out = verbs.add_parser(
        "export",
        help="messages or their rows as a file",
        description="Write what matches to a file: the messages (zip of .eml, mbox) or their rows (CSV, JSON); or to a"
        " folder, each message as an EML and the JSON of its envelope, which `spool import` takes.",
    )
    out.add_argument("--format", choices=(*FORMATS, "folder"), default="zip", help="of the file (zip)")
    add_output(out)
    out.add_argument("--all", action="store_true", help="every message of the spool: no condition is needed")
    add_filters(out)
    out.set_defaults(run=_export)
    for parser in (undoing, back, out):
        add_json(parser)


def _undo(options: dict[str, Any], output: Output) -> None:
    what, actor = options["what"], Actor.at_the_shell()
    if what.isdecimal():
        trashed, wanted = rows_of(int(what)), {"event_id": int(what)}
        event = AuditEvent.objects.filter(id=int(what)).first()
        sentence = str(event) if event else f"action {what}"
    else:
        name = what if what.endswith(".eml") else f"{what}.eml"
        trashed = Trashed.objects.filter(file_name=name)
        wanted = {"ids": list(trashed.values_list("id", flat=True))}  # type: ignore[dict-item]
        sentence = name
    number = trashed.count()
    if not number:
        raise Ended(NOTHING, "There is nothing left to undo.")
    if options["dry_run"]:
        output.line(f"{number:,} messages would be put back: {sentence}")
        output.values({"matched": number})
        return
    if not options["yes"]:
        agree(lambda: output.line(f"Put back {number:,} messages: {sentence}"), options)
    with bar("Undo", number, output) as progress:
        outcome = undo(actor, **wanted, background=options["background"], progress=progress)  # type: ignore[arg-type]
    job = outcome.job
    output.line(outcome.sentence)
    output.values({"job": job.id, "state": job.state, "done": job.done, "skipped": job.skipped, "problem": job.problem})
    if outcome.finished and not job.done:
        raise Ended(NOTHING)


def _put_back(options: dict[str, Any], output: Output) -> None:
    from spool.actions import folders

    path = folders.checked(options["folder"])
    with folders.opened(path, create=False) as folder:
        names = sorted(name for name in folders.listing(folder) if name.endswith(".json"))
    if options["dry_run"]:
        output.line(f"{len(names):,} messages in {path}")
        output.values({"matched": len(names), "folder": str(path)})
        return
    if not names:
        raise Ended(NOTHING, f"There are no moved messages in {path}.")
    if not options["yes"]:
        agree(lambda: output.line(f"Put {len(options['names']) or len(names):,} messages back from {path}."), options)
    tally = put_back(options["folder"], Actor.at_the_shell(), options["names"])
    output.line(f"{tally.done:,} put back" + (f", {tally.skipped:,} not: {tally.problem}" if tally.skipped else ""))
    output.values({"done": tally.done, "skipped": tally.skipped, "problem": tally.problem})
    if not tally.done:
        raise Ended(NOTHING)


def _export(options: dict[str, Any], output: Output) -> None:
    wanted = chosen(options)
    if wanted.is_empty and not options["all"]:
        raise Ended(USAGE, "Say which messages, by a condition or by --all.")
    if not (found := count(wanted)).number and not found.more:
        raise Ended(NOTHING, "Nothing matches.")
    if options["format"] == "folder":
        export_to_folder(wanted, options, output)
        return
    write_out(export(wanted, options["format"], Actor.at_the_shell()), options, output)
