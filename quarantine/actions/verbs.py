"""What administrators do with quarantined messages. Pages, commands and jobs call them by spool.actions.perform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import key_of
from accounts.reach import Right
from base.actions.inputs import Input
from quarantine.actions.selection import ItemSelection
from quarantine.engines.mistakes import Lesson
from quarantine.items import deletion, reports, transfer
from quarantine.models.antispam import TrustedSender
from quarantine.models.item import Item, ItemKind, ItemState
from spool.actions import move
from spool.actions.actor import Actor, NotAllowed
from spool.actions.selection import Selection
from spool.actions.verb import Context, Progress, Refused, Tally, Verb
from spool.actions.verbs import VERBS
from spool.events.actions import changed, named
from spool.files import removal
from spool.flow import doorbell
from spool.message.summary import storable
from spool.models.settings import current
from spool.places.bins import BINS
from spool.rows import statements

_PREFIX: Final = "quarantine-"


class ItemVerb(Verb):
    """What is done with quarantined messages. Its name begins with `quarantine-`."""

    selects = ItemSelection

    @property
    def short(self) -> str:
        return self.name.removeprefix(_PREFIX)


class Resend(ItemVerb):
    """Back into the spool, for the recipients still open, past the check that caught it."""

    name, label, past = "quarantine-resend", _lazy("Resend"), _lazy("resent")
    icon = "outgoing_mail"
    inputs = (
        Input(
            "trust",
            _lazy("Trust their senders from now on"),
            "check",
            option_help="trust their senders: what is proven to be theirs is not checked",
        ),
        Input(
            "learn",
            _lazy("Train as ham"),
            "check",
            option_help="tell the engines that take reports that they are no spam",
        ),
    )
    chunk = 100

    def require(self, actor: Actor, selection: Selection, given: Mapping[str, Any]) -> None:
        super().require(actor, selection, given)
        if not actor.may(Right.ADMINISTER) and _has_viruses(selection):
            raise NotAllowed(gettext("Only a system administrator releases what a virus was found in."))

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"trust": bool(given.get("trust")), "learn": _learn(given)}

    def effect(self, parameters: Mapping[str, Any]) -> str:
        said = [
            gettext(
                "They go back into the spool and are delivered to the recipients who have not got them yet. The check"
                " that caught them lets them pass; the other still looks at them."
            )
        ]
        if parameters["trust"]:
            said.append(
                gettext(
                    "Their senders are trusted from now on: mail that SPF, DKIM or a login proves to be theirs is not"
                    " checked for spam."
                )
            )
        if parameters.get("learn"):
            said.append(gettext("The engines that take reports are told that they are no spam."))
        return " ".join(said)

    def chunk_for(self, parameters: Mapping[str, Any]) -> int:
        return reports.CHUNK if parameters.get("learn") else self.chunk

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        problem = reports.report(ids, Lesson.HAM) if parameters.get("learn") else ""
        with statements.write_transaction():
            if parameters["trust"]:
                _trust(ids, context.actor)
            names = _names(ids)
            resent, lost = transfer.resend(ids, context.now)
            named(context, "resent", [names[number] for number in resent])
            progress(_tally(len(resent), lost, len(ids), problem), ids[-1])
        doorbell.ring()


def _has_viruses(selection: Selection) -> bool:
    """Whether a virus was found in any of them. A filter says which quarantine is meant."""
    if selection.filter is not None:
        return bool(selection.filter.kind != ItemKind.SPAM)
    return Item.objects.filter(id__in=selection.ids).exclude(kind=ItemKind.SPAM).exists()


class Rescan(ItemVerb):
    """Look at them again: what would not be caught any more is resent, the rest stays."""

    name, label, past = "quarantine-rescan", _lazy("Check again"), _lazy("resent, as nothing is found any more")
    icon = "troubleshoot"
    chunk = 20

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return gettext(
            "The check that caught them looks at them again. Those in which it finds nothing any more are resent; the"
            " others stay, with what it says now. While a scanner or check does not answer nothing changes."
        )

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        # Here, as every process knows this verb and few ever need the checks with their DNS and DKIM libraries.
        from quarantine.items.rescan import rescan

        found = rescan(list(Item.objects.filter(id__in=ids, state=ItemState.HELD).order_by("id")))
        with statements.write_transaction():
            names = _names(ids)
            resent, _ = transfer.resend([one.item_id for one in found if one.passes], context.now)
            named(context, "resent", [names[number] for number in resent], why="nothing is found any more")
            for one in found:
                if not one.passes and one.why:
                    Item.objects.filter(id=one.item_id, state=ItemState.HELD).update(
                        why=storable(one.why, 255), score=one.score, findings=list(one.findings)
                    )
            left = len(ids) - len(resent)
            problem = next((one.problem for one in found if one.problem), "would be caught again") if left else ""
            progress(Tally(len(resent), 0, left, problem), ids[-1])
        doorbell.ring()


class Delete(ItemVerb):
    """Out of quarantine; it can be undone until the trash's days are over."""

    name, label, past = "quarantine-delete", _lazy("Delete"), _lazy("deleted")
    icon, danger = "delete", True
    inputs = (
        Input(
            "learn",
            _lazy("Train as spam"),
            "check",
            option_help="tell the engines that take reports that they are spam",
        ),
    )
    undoable = True

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"learn": _learn(given)}

    def chunk_for(self, parameters: Mapping[str, Any]) -> int:
        return reports.CHUNK if parameters.get("learn") else self.chunk

    def effect(self, parameters: Mapping[str, Any]) -> str:
        days = current().trash_days
        said = ngettext(
            "They leave the quarantine and are not delivered. Their senders are not told. This can be undone for"
            " %(days)s day, but no longer than until their time of removal.",
            "They leave the quarantine and are not delivered. Their senders are not told. This can be undone for"
            " %(days)s days, but no longer than until their time of removal.",
            days,
        ) % {"days": days}
        if parameters.get("learn"):
            said += " " + gettext("The engines that take reports are told that they are spam.")
        return said

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        problem = reports.report(ids, Lesson.SPAM) if parameters.get("learn") else ""
        with statements.write_transaction():
            done = deletion.delete(ids, context.event_id, context.now)
            gone = Item.objects.filter(id__in=ids, state=ItemState.DELETED, event=context.event_id)
            changed(context, "deleted", gone)
            progress(_tally(done, 0, len(ids), problem), ids[-1])


class Move(ItemVerb, move.Move):
    """Into a folder below the allowed roots, as an EML and the JSON of its envelope."""

    name = "quarantine-move"
    of_mailbox = False
    bin = deletion.BIN

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return gettext(
            "They leave the quarantine, are not delivered, and become files in %(folder)s: an EML and a "
            "JSON of the envelope for each. Undo works for %(trash_days)s days, while the files are "
            "there."
        ) % {"folder": parameters["folder"], "trash_days": current().trash_days}

    def begin(
        self, ids: Sequence[int], folder: Path, parameters: Mapping[str, Any], context: Context, progress: Progress
    ) -> list[int]:
        with statements.write_transaction():
            begun = deletion.begin_move(ids, context.event_id, context.now, folder)
            progress(_tally(0, 0, len(ids) - len(begun)), ids[-1])
        return begun


class Purge(ItemVerb):
    """For good, at once: rows and files. It can't be undone."""

    name, label, past = "quarantine-purge", _lazy("Purge"), _lazy("removed for good")
    icon, danger = "delete_forever", True

    def effect(self, parameters: Mapping[str, Any]) -> str:
        return gettext("They are removed for good, with their files. This can't be undone.")

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        with statements.write_transaction():
            changed(context, "removed", Item.objects.filter(id__in=ids).exclude(state=ItemState.MOVING))
            paths, done = deletion.remove_rows(ids)
            progress(_tally(done, 0, len(ids)), ids[-1])
        for path in paths:
            removal.remove(path)


def _names(ids: Sequence[int]) -> dict[int, str]:
    return dict(Item.objects.filter(id__in=list(ids)).values_list("id", "file_name"))


def _trust(ids: Sequence[int], actor: str) -> None:
    senders = Item.objects.filter(id__in=ids).exclude(sender="").values_list("sender", flat=True)
    rows = [
        TrustedSender(pattern=key_of(one), description=f"By {actor}, when mail was resent"[:255]) for one in senders
    ]
    TrustedSender.objects.bulk_create([row for row in rows if len(row.pattern) <= 254], ignore_conflicts=True)


def _tally(done: int, lost: int, asked: int, problem: str = "") -> Tally:
    gone = asked - done - lost
    left = "their files are missing" if lost else "already gone" if gone else ""
    return Tally(done, 0, lost + gone, "; ".join(filter(None, (left, problem))))


def _learn(given: Mapping[str, Any]) -> bool:
    """Whether engines are to be told. Raises Refused when none takes reports."""
    if given.get("learn") and not reports.teachers():
        raise Refused(
            gettext(
                "No engine takes reports: say so for SpamAssassin or Rspamd, under Checks and their weights on the page"
                " Antispam."
            )
        )
    return bool(given.get("learn"))


# In the order in which they are offered. Purge is for the command alone: on pages there is Delete.
ACTIONS: tuple[ItemVerb, ...] = (Resend(), Rescan(), Move(), Delete(), Purge())


def register() -> None:
    """Make them known to spool.actions. Called once, when Django starts."""
    VERBS.update({verb.name: verb for verb in ACTIONS})
    BINS.append(deletion.BIN)
