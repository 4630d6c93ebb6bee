"""What is done to machines: drain, resume, forget (spool.monitoring.machines)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.actions.action import Change, Refused, SingleAction, Target, WayBack, Written
from base.audit.subjects import Subject
from spool.actions.actor import Actor
from spool.monitoring import machines
from spool.monitoring.machines import MachineState, MachineView


def machine_named(name: str) -> Target | None:
    """A machine that is known."""
    found = machines.named(name.strip())
    return Target("machine", (found.name,), (found,)) if found is not None else None


class MachineAction(SingleAction[Actor]):
    """For system administrators alone."""

    kinds: ClassVar = ("machine",)

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()


class DrainMachine(MachineAction):
    """Has a machine take no more mail, finish what it has in hand, and leave the rest to the others."""

    name, label, icon = "machine-drain", _lazy("Drain"), "logout"
    undoable, danger = True, True

    def is_due(self, target: Target) -> bool:
        return not _of(target).drains

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        alone = not any(one.name != target.key and _takes_mail(one) for one in machines.every())
        if alone:
            return _("No other machine takes mail: until it is resumed, senders are told to come back, and mail waits.")
        return _(
            "Its listeners tell senders to come back (421), its readiness check says no, and its workers finish what"
            " they have begun. It stays so, also when it is started anew, until it is resumed."
        )

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        if not machines.drain(target.key, actor.name):
            raise Refused(_("%(key)s is drained already.") % {"key": target.key})
        undo = WayBack(RESUME.name, Target.of("machine", target.key))
        return Change((_("%(key)s takes no more mail.") % {"key": target.key}), [_written(target)], undo=undo)


class ResumeMachine(MachineAction):
    """Has a machine that was drained take mail again."""

    name, label, icon = "machine-resume", _lazy("Resume"), "login"
    undoable = True

    def is_due(self, target: Target) -> bool:
        return _of(target).drains

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("It takes mail again within seconds.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        if not machines.resume(target.key):
            raise Refused(_("%(key)s is not drained.") % {"key": target.key})
        undo = WayBack(DRAIN.name, Target.of("machine", target.key))
        return Change((_("%(key)s takes mail again.") % {"key": target.key}), [_written(target)], undo=undo)


class ForgetMachine(MachineAction):
    """Removes a machine that is gone: nobody is told any more that it is missed."""

    name, label, icon = "machine-forget", _lazy("Forget"), "delete"
    danger = True

    def is_due(self, target: Target) -> bool:
        return not _of(target).is_alive

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("If it is started again, it is there again.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        # `target` may be of a page that was opened long ago.
        found = machines.named(target.key)
        if found is not None and found.is_alive:
            raise Refused(_("%(key)s is alive: drain it, and stop its programs first.") % {"key": target.key})
        machines.forget(target.key)
        return Change((_("%(key)s is forgotten.") % {"key": target.key}), [_written(target)])


def _takes_mail(one: MachineView) -> bool:
    return one.state is MachineState.RUNNING


def _of(target: Target) -> MachineView:
    view: MachineView = target.rows[0]
    return view


def _written(target: Target) -> Written:
    return Written(target.key, about=Subject("machine", target.key))


DRAIN, RESUME, FORGET = DrainMachine(), ResumeMachine(), ForgetMachine()
