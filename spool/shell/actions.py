"""Verbs that act on what a filter matches: force, hold, release, reset, priority, delete, move, redirect, resend."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from base.actions.options import add_inputs, given
from spool.actions import VERBS, Actor, Preview, Selection, perform, preview
from spool.actions.verb import Verb
from spool.actions.verbs import OF_ENTRIES, OF_TRASH
from spool.models import BulkJob, JobState
from spool.shell.output import NOTHING, USAGE, Ended, Output, add_filters, add_json
from spool.shell.reports import chosen

# Shorter work is over before a bar could be read.
WORTH_A_BAR = 1000


def add_parsers(verbs: Any) -> None:
    for verb in (*OF_ENTRIES, *OF_TRASH):
        parser = add_action(verbs, verb)
        add_filters(parser)
        add_json(parser)
        parser.set_defaults(run=_act)


def add_action(verbs: Any, verb: Verb) -> argparse.ArgumentParser:
    """The parser of one action, with all that does not depend on what it is done to."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        verb.short, help=f"{verb.label}: {verb.summary}", description=f"{verb.label}. {verb.summary}"
    )
    add_inputs(parser, verb)
    add_consent(parser)
    parser.add_argument("--background", action="store_true", help="leave it to a maintenance worker")
    parser.add_argument("--all", action="store_true", help="every message there: no condition is needed")
    return parser


def add_consent(parser: argparse.ArgumentParser) -> None:
    """--dry-run and --yes."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--yes", action="store_true", help="do it without asking")


def _act(options: dict[str, Any], output: Output) -> None:
    act(VERBS[options["verb"]], chosen(options), options, output)


def act(verb: Verb, wanted: Any, options: dict[str, Any], output: Output) -> None:
    """Do an action to what `wanted`, a filter, matches, as the options of `add_action` say. Raises Ended."""
    if wanted.is_empty and not options["all"]:
        raise Ended(USAGE, "Say which messages, by a condition or by --all.")
    actor, what = Actor.at_the_shell(), verb.selects.of(wanted)
    parameters = given(verb, options)
    shown = preview(verb.name, what, actor, **parameters)
    if shown.count.number == 0 and not shown.count.more:
        output.values({"matched": 0, "done": 0, "outcome": "Nothing matches."})
        raise Ended(NOTHING, "" if output.as_json else "Nothing matches.")
    if options["dry_run"]:
        _tell(shown, what, output)
        output.values(
            {"matched": shown.count.number, "more": shown.count.more, "what": shown.what, "effect": shown.effect}
        )
        return
    if not options["yes"]:
        agree(lambda: _tell(shown, what, output), options)
    number = None if shown.count.more else shown.count.number
    with bar(str(verb.label), number, output) as progress:
        outcome = perform(verb.name, what, actor, background=options["background"], progress=progress, **parameters)
    job = outcome.job
    output.line(outcome.sentence)
    output.values(
        {
            "job": job.id,
            "event": outcome.event.id,
            "state": job.state,
            "matched": job.seen or job.total,
            "done": job.done,
            "busy": job.busy,
            "skipped": job.skipped,
            "outcome": outcome.sentence,
        }
    )
    if verb.undoable and job.done:
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


def _tell(shown: Preview, what: Selection, output: Output) -> None:
    output.line(f"{VERBS[shown.action].label}: {shown.count} {shown.what}.")
    for entry in shown.sample:
        output.line(f"  {what.line(entry)}")
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
