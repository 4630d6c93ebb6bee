"""Verbs that act on what a filter matches: force, hold, release, reset, priority, delete, move, redirect, resend."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spool.actions import VERBS, Actor, Preview, Selection, perform, preview
from spool.actions.emptying import TrashSelection
from spool.filters.fields import PRIORITIES
from spool.models import BulkJob, JobState
from spool.shell.looking import chosen
from spool.shell.output import NOTHING, USAGE, Ended, Output, add_filters, add_json

# Shorter work is over before a bar could be read.
WORTH_A_BAR = 1000


def add_parsers(verbs: Any) -> None:
    for name, verb in VERBS.items():
        if verb.selects not in (Selection, TrashSelection):
            continue
        parser = verbs.add_parser(
            name, help=f"{verb.label}: {(verb.__doc__ or '').splitlines()[0]}",
            description=f"{verb.label}. {(verb.__doc__ or '').splitlines()[0]}",
        )  # fmt: skip
        if name in _OPTIONS:
            _OPTIONS[name](parser)
        add_filters(parser)
        add_consent(parser)
        parser.add_argument("--background", action="store_true", help="leave it to a maintenance worker")
        parser.add_argument("--all", action="store_true", help="every message there: no condition is needed")
        add_json(parser)
        parser.set_defaults(run=_act)


def add_consent(parser: argparse.ArgumentParser) -> None:
    """--dry-run and --yes."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--yes", action="store_true", help="do it without asking")


def _priority(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("level", choices=tuple(PRIORITIES), help="the new priority")


def _hold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="why, for other administrators")
    parser.add_argument("--until", default="", metavar="TIME", help="released by itself then: 2h, 3d, 2026-12-31 18:00")


def _delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bounce", action="store_true", help="tell the senders by a bounce")


def _move(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", default="", metavar="PATH", help="where to, below an allowed folder (moved/)")


def _redirect(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--to", default="", metavar="ADDRESS", help="new recipients, comma-separated")
    where.add_argument(
        "--next-hop", default="", metavar="HOST", help="host or host:port to send them by; 'usual' for their routes"
    )


def _resend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", default="", metavar="ADDRESS", help="to these instead of their recipients")


_OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "priority": _priority, "hold": _hold, "delete": _delete, "move": _move, "redirect": _redirect, "resend": _resend,
}  # fmt: skip
# Options that are the action's own parameters.
_PARAMETERS = ("reason", "until", "bounce", "folder", "to", "next_hop")


def _act(options: dict[str, Any], output: Output) -> None:
    action, wanted, actor = options["verb"], chosen(options), Actor.at_the_shell()
    if wanted.is_empty and not options["all"]:
        raise Ended(USAGE, "Say which messages, by a condition or by --all.")
    parameters = {name: options[name] for name in _PARAMETERS if name in options}
    if action == "priority":
        parameters["priority"] = options["level"]
    shown = preview(action, wanted, actor, **parameters)
    if shown.count.number == 0 and not shown.count.more:
        output.values({"matched": 0, "done": 0, "outcome": "Nothing matches."})
        raise Ended(NOTHING, "" if output.as_json else "Nothing matches.")
    if options["dry_run"]:
        _tell(shown, output)
        output.values(
            {"matched": shown.count.number, "more": shown.count.more, "what": shown.what, "effect": shown.effect}
        )
        return
    if not options["yes"]:
        agree(lambda: _tell(shown, output), options)
    number = None if shown.count.more else shown.count.number
    with bar(VERBS[action].label, number, output) as progress:
        outcome = perform(action, wanted, actor, background=options["background"], progress=progress, **parameters)
    job = outcome.job
    output.line(outcome.sentence)
    output.values(
        {
            "job": job.id, "event": outcome.event.id, "state": job.state, "matched": job.seen or job.total,
            "done": job.done, "busy": job.busy, "skipped": job.skipped, "outcome": outcome.sentence,
        }
    )  # fmt: skip
    if VERBS[action].undoable and job.done:
        output.line(f"`manage.py spool undo {outcome.event.id}` puts them back.")
    if outcome.finished and (job.state == JobState.FAILED or not job.done):
        raise Ended(NOTHING)


def agree(tell: Callable[[], None], options: dict[str, Any]) -> None:
    """Ask at the terminal; without one, --yes is the only way to agree."""
    if options["json"] or not sys.stdin.isatty():
        raise Ended(USAGE, "Nothing was done: say --yes, or look first with --dry-run.")
    tell()
    if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Ended(NOTHING, "Nothing was done.")


def _tell(shown: Preview, output: Output) -> None:
    output.line(f"{VERBS[shown.action].label}: {shown.count} {shown.what}.")
    for entry in shown.sample:
        output.line(f"  {entry.file_name} {entry.sender or '<>'} {entry.subject}")
    if shown.count.more or shown.count.number > len(shown.sample):
        output.line("  …")
    output.line(shown.effect)


@contextmanager
def bar(label: str, total: int | None, output: Output) -> Iterator[Callable[[BulkJob], None] | None]:
    """A progress bar on the terminal, for work that is worth it; `total` is None when it is not known."""
    if output.as_json or (total is not None and total < WORTH_A_BAR) or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as drawn:
        task = drawn.add_task("", total=total)
        yield lambda job: drawn.update(task, completed=job.seen)
