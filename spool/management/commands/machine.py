"""`manage.py machine list|drain|resume|forget`: the machines that share this database, and what they are at."""

from __future__ import annotations

import time
from typing import Any, Final

from base.actions.action import SingleAction, Target
from base.actions.perform import perform
from spool.actions import machines as actions
from spool.actions.actor import Actor
from spool.monitoring import machines
from spool.monitoring.machines import MachineState, MachineView
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, Ended, Output

_LOOK_SECONDS: Final = 1.0


class Command(VerbCommand):
    help = "Machines that share this database: what they are at, and to have one take no more mail."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add_verb(verbs, "list", "All machines, with what they are at.", _list)
        for action in (actions.DRAIN, actions.RESUME, actions.FORGET):
            verb = add_verb(verbs, action.name.removeprefix("machine-"), action.summary, _done_by(action))
            verb.add_argument("machine", metavar="MACHINE", help="as `list` shows it")
            if action is actions.DRAIN:
                verb.add_argument("--wait", action="store_true", help="return when it has nothing more in hand")
                verb.add_argument(
                    "--timeout",
                    type=float,
                    default=0.0,
                    metavar="SECONDS",
                    help="wait no longer than that, and exit with status 1; 0 waits as long as it takes",
                )


def _list(options: dict[str, Any], output: Output) -> None:
    output.table([_row(one) for one in machines.every()], nothing="No machine has told of itself yet.")


def _done_by(action: SingleAction[Actor]) -> Any:
    def run(options: dict[str, Any], output: Output) -> None:
        target = actions.machine_named(options["machine"])
        if target is None:
            raise Ended(NOTHING, f"There is no machine {options['machine']}; `machine list` shows all.")
        waits = options.get("wait", False)
        if not (waits and not action.is_due(target)):
            # One that drains already is waited for.
            output.line(perform(action, Actor.at_the_shell(), target).sentence)
        if waits:
            _wait(target, options["timeout"], output)
        found = machines.named(target.key)
        output.values(_row(found) if found is not None else None)

    return run


def _wait(target: Target, timeout_seconds: float, output: Output) -> None:
    """Until it is empty. Raises Ended when it is missed or resumed meanwhile, or when that takes too long."""
    began, said = time.monotonic(), ""
    while True:
        found = machines.named(target.key)
        if found is None or not found.drains:
            raise Ended(NOTHING, f"{target.key} is not drained any more.")
        if found.state in (MachineState.DRAINED, MachineState.STOPPED):
            output.line(f"{target.key} is {found.state}: it has nothing in hand.")
            return
        if found.state is MachineState.MISSED:
            raise Ended(NOTHING, f"{target.key} gives no sign of life. What it had in work is with the others.")
        if found.left != said:
            said = found.left
            output.line(f"{target.key}: {said}")
        if timeout_seconds and time.monotonic() - began > timeout_seconds:
            raise Ended(NOTHING, f"{target.key} is not drained yet: {found.left}.")
        time.sleep(_LOOK_SECONDS)


def _row(one: MachineView) -> dict[str, Any]:
    return {
        "machine": one.name,
        "state": one.state.value,
        "left": one.left,
        "programs": " ".join(f"{kind}={number}" for kind, number in one.programs.items()),
        "missing": " ".join(one.missing),
        "addresses": " ".join(one.addresses),
        "connections": one.connections,
        "taken a minute": one.taken,
        "delivered a minute": one.delivered,
        "leases": one.leases,
        "load": "" if one.load is None else one.load,
        "free MB": "" if one.free_mb is None else one.free_mb,
        "version": " ".join(one.versions),
        "since": one.since,
        "drained since": one.drain_since or "",
        "by": one.drain_by,
        "seen": one.seen or "",
    }
