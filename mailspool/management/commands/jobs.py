"""`manage.py jobs workers|queues|list|show|retry|forget`: what workers do in the background, from the shell."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any, Final

from base.actions.action import SingleAction, Target
from base.actions.perform import perform, preview
from base.times import exact
from mailspool.jobs.actions import ALL, FORGET, RETRY, jobs_named
from mailspool.jobs.kinds import details_of, label_of
from mailspool.jobs.reading import Named, RedisIsAway, failed, state, waiting, whole
from mailspool.jobs.workers import at_work, workers
from spool.actions.actor import Actor
from spool.shell.actions import add_consent, agree
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, USAGE, Ended, Output

STATES: Final = ("failed", "running", "waiting", "scheduled")


class Command(VerbCommand):
    help = (
        "What workers do in the background: who works, what waits, what failed. `spool jobs` has actions on messages."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add_verb(verbs, "workers", "Workers that are alive, and what each does.", _workers)
        add_verb(verbs, "queues", "Queues: how many jobs wait, and for how long.", _queues)
        listed = add_verb(verbs, "list", "Jobs that failed, run, wait or are scheduled.", _list)
        listed.add_argument("--state", choices=STATES, default="failed", help="which: failed unless said otherwise")
        listed.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (50)")
        show = add_verb(verbs, "show", "One job, with its whole error.", _show)
        show.add_argument("job", metavar="JOB", help="its id, as `list` shows it")
        for action, name in ((RETRY, "retry"), (FORGET, "forget")):
            verb = add_verb(verbs, name, action.summary, _do)
            verb.add_argument("jobs", metavar="JOB", nargs="*", help="ids, as `list` shows them")
            which = verb.add_mutually_exclusive_group()
            which.add_argument("--kind", metavar="FUNCTION", default="", help="all that call it, as spool.tasks.forget")
            which.add_argument("--all", action="store_true", help="every failed job")
            add_consent(verb)
            verb.set_defaults(action=action)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            super().handle(*args, **options)
        except RedisIsAway as error:
            self._end(NOTHING, str(error))


def _workers(options: dict[str, Any], output: Output) -> None:
    alive, missing = workers()
    rows = [
        {
            "worker": one.kind,
            "machine": one.machine,
            "pid": one.pid,
            "now": one.call or "idle",
            "since": _moment(one.since),
            "started": _moment(one.born),
            "last seen": _moment(one.seen),
        }
        for one in at_work(alive, state().running)
    ]
    output.table(rows)
    for gone in missing:
        output.line(f"{gone.machine} has no {gone.label.lower()} worker: the last was seen {exact(gone.seen)}.")
    if not rows:
        raise Ended(NOTHING, "" if missing else "No worker is alive.")


def _queues(options: dict[str, Any], output: Output) -> None:
    output.table(
        [
            {
                "queue": queue.name,
                "waiting": queue.waiting,
                "oldest": _moment(queue.oldest.at if queue.oldest else None),
                "running": queue.running,
                "scheduled": queue.scheduled,
                "failed": queue.failed,
            }
            for queue in state().queues
        ]
    )


def _list(options: dict[str, Any], output: Output) -> None:
    limit = max(1, options["limit"])
    rows = list(map(_row, _of_state(options["state"], limit)))
    output.table(rows)
    if not rows:
        raise Ended(NOTHING, f"No job is {options['state']}." if options["state"] != "failed" else "No job has failed.")


def _of_state(which: str, limit: int) -> list[Named]:
    match which:
        case "running":
            return list(state().running[:limit])
        case "scheduled":
            return list(state().scheduled[:limit])
        case "waiting":
            return waiting(limit)
    found: list[Named] = []
    place = ""
    while len(found) < limit:
        some = failed(place, min(500, limit - len(found)))
        found += some.jobs
        place = some.next
        if not place:
            break
    return found


def _row(job: Named) -> dict[str, Any]:
    row = {"job": job.id, "call": job.call, "queue": job.queue, "at": _moment(job.at)}
    error = getattr(job, "error", None)
    return row if error is None else {**row, "attempts": getattr(job, "attempts", 0), "error": error}


def _show(options: dict[str, Any], output: Output) -> None:
    found = whole(options["job"])
    if found is None:
        raise Ended(NOTHING, f"There is no job {options['job']}.")
    call = found.job.call
    output.fields(
        {
            "job": found.job.id,
            "what": label_of(call),
            "about": details_of([call]).get(call, ""),
            "call": call,
            "state": found.status,
            "queue": found.job.queue,
            "worker": found.job.worker,
            "created": _moment(found.created),
            "queued": _moment(found.enqueued),
            "started": _moment(found.started),
            "ended": _moment(found.ended),
            "attempts": found.attempts,
            "error": found.traceback.splitlines(),
        }
    )


def _do(options: dict[str, Any], output: Output) -> None:
    action: SingleAction[Any] = options["action"]
    target, actor = _target(options), Actor.at_the_shell()
    shown = preview(action, actor, target)
    if options["dry_run"]:
        output.line(shown.effect)
        output.values({"jobs": str(target), "effect": shown.effect})
        return
    if target.kind == "jobs" and not options["yes"]:
        agree(lambda: output.line(shown.effect), options)
    done = perform(action, actor, target)
    output.line(done.sentence)
    output.values({"jobs": str(target), "outcome": done.sentence, "done": done.result, "good": done.good})
    if not done.good:
        raise Ended(NOTHING)


def _target(options: dict[str, Any]) -> Target:
    if bool(options["jobs"]) == bool(options["kind"] or options["all"]):
        raise Ended(USAGE, "Say which: jobs by their ids, --kind FUNCTION, or --all.")
    if options["jobs"]:
        return Target("job", tuple(dict.fromkeys(options["jobs"])))
    target = jobs_named(ALL if options["all"] else options["kind"])
    if target is None:
        raise Ended(NOTHING, f"{options['kind']} is no function.")
    return target


def _moment(at: datetime | None) -> str:
    return exact(at) if at else "-"
