"""What the audit says of actions on messages: how many, in the words of the action; and of what else the spool has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, ngettext

from base.audit import sentences
from base.audit.results import Result
from base.audit.sentences import Event
from base.numbers import decimal, grouped
from base.stored_texts import said
from base.texts import Text
from spool.actions.verbs import WORKS
from spool.filters import SpoolFilter
from spool.filters.base import MessageFilter

# Of actions that are no verbs.
_PAST: Mapping[str, Text] = {
    "export": gettext_lazy("exported"),
    "import": gettext_lazy("imported"),
    "put-back": gettext_lazy("put back"),
}


def counted(past: Text | Callable[[Mapping[str, Any]], str]) -> Callable[[Event], str]:
    """ "11,998 deleted, 2 were being delivered": a sentence of an action on many, `past` being what was done."""

    def sentence(event: Event) -> str:
        given = event.parameters
        busy, problem = given.get("busy", 0), given.get("problem", "")
        skipped = event.skipped - busy
        parts = [f"{grouped(event.done)} {past(given) if callable(past) else past}"]
        if busy:
            parts.append(
                ngettext("%(busy)s was being delivered", "%(busy)s were being delivered", busy)
                % {"busy": grouped(busy)}
            )
        if skipped > 0:
            parts.append(
                gettext("%(skipped)s skipped (%(problem)s)")
                % {"skipped": grouped(skipped), "problem": said(problem) if problem else gettext("already gone")}
            )
        elif problem:
            parts.append(gettext("but %(problem)s") % {"problem": said(problem)})
        return _how(event) + ", ".join(parts)

    return sentence


def in_words(filters: type[MessageFilter]) -> Callable[[Mapping[str, Any]], str]:
    """What a filter that was written down means."""
    return lambda chosen: str(filters.from_json(chosen).sentence())


def _muted(event: Event) -> str:
    until = timezone.localtime(datetime.fromisoformat(event.parameters["until"]))
    return gettext("Muted until %(until)s") % {"until": f"{until:%Y-%m-%d %H:%M}"}


def _how(event: Event) -> str:
    if event.result == Result.CANCELLED:
        return gettext("Cancelled by %(cancelled_by)s: ") % {"cancelled_by": event.parameters["cancelled_by"]}
    return (
        (gettext("Failed (%(error)s): ") % {"error": event.parameters["error"]})
        if event.result == Result.FAILED
        else ""
    )


def _emptied(event: Event) -> str:
    given = event.parameters
    if "freed_mb" not in given:
        return counted(WORKS["empty-trash"].past_of)(event)
    return gettext(
        "Removed for good, about %(freed_mb)s MB: only %(free_mb)s MB of the disk were free, and the "
        "settings ask for %(wanted_mb)s MB"
    ) % {
        "freed_mb": decimal(given["freed_mb"], 0),
        "free_mb": decimal(given["free_mb"], 0),
        "wanted_mb": grouped(given["wanted_mb"]),
    }


def _mended(event: Event) -> str:
    kinds = ", ".join(f"{kind} ({grouped(number)})" for kind, number in event.parameters["mended"].items())
    return gettext("Mended: %(kinds)s") % {"kinds": kinds}


def _view(event: Event) -> str:
    return f"{event.parameters['page']}: {event.parameters['query'] or gettext('everything')}"


def _slowed(event: Event) -> str:
    rate, connections = event.parameters["rate"], event.parameters["connections"]
    parts = [(gettext("%(rate)s messages a minute") % {"rate": grouped(rate)})] if rate else []
    if connections:
        parts.append(
            ngettext("%(number)s connection", "%(number)s connections", connections) % {"number": grouped(connections)}
        )
    return (gettext("At most %(parts)s") % {"parts": ", ".join(parts)}) if parts else gettext("No limit by hand")


def _retried(event: Event) -> str:
    if "messages" not in event.parameters:
        return counted(WORKS["destination-retry"].past_of)(event)
    return gettext("%(messages)s messages were tried again") % {"messages": grouped(event.parameters["messages"])}


sentences.of_titles({name: work.label for name, work in WORKS.items()})
sentences.of_titles(
    {
        "export": gettext_lazy("Export"),
        "import": gettext_lazy("Import"),
        "put-back": gettext_lazy("Put back"),
        "export trace": gettext_lazy("Export trace"),
        "export audit": gettext_lazy("Export audit"),
        "mend": gettext_lazy("Mend the spool"),
        "relocate": gettext_lazy("Move content"),
        "suppress": gettext_lazy("Suppress"),
        "unsuppress": gettext_lazy("Suppress no more"),
        "dkim-publish": gettext_lazy("Publish DKIM key"),
        "dkim-add": gettext_lazy("Add DKIM Key"),
        "dkim-check": gettext_lazy("Check DKIM key"),
        "dkim-retire": gettext_lazy("Retire DKIM key"),
        "dkim-remove": gettext_lazy("Remove DKIM key"),
        "destination-slow": gettext_lazy("Slow destination"),
        "destination-suspend": gettext_lazy("Suspend destination"),
        "destination-resume": gettext_lazy("Resume destination"),
        "destination-retry": gettext_lazy("Retry destination"),
        "destination-forget": gettext_lazy("Forget destination's limits"),
        "machine-drain": gettext_lazy("Drain machine"),
        "machine-resume": gettext_lazy("Resume machine"),
        "machine-forget": gettext_lazy("Forget machine"),
        "remove view": gettext_lazy("Remove view"),
        "save view": gettext_lazy("Save view"),
        "test alert rule": gettext_lazy("Test alert rule"),
        "acknowledge alert": gettext_lazy("Acknowledge alert"),
        "mute alert": gettext_lazy("Mute alert"),
        "unmute alert": gettext_lazy("Unmute alert"),
    }
)
sentences.of_actions({name: counted(work.past_of) for name, work in WORKS.items()})
sentences.of_filters({name: in_words(work.selects.filters) for name, work in WORKS.items()})
sentences.of_filters({"export": in_words(SpoolFilter)})
sentences.of_actions({name: counted(past) for name, past in _PAST.items()})
sentences.of_actions(
    {
        "empty-trash": _emptied,
        "export trace": lambda event: gettext("As %(upper)s") % {"upper": event.parameters["format"].upper()},
        "export audit": lambda event: gettext("As %(upper)s") % {"upper": event.parameters["format"].upper()},
        "mend": _mended,
        "relocate": lambda event: gettext("%(done)s messages were moved there") % {"done": grouped(event.done)},
        "suppress": lambda event: gettext("%(number)s suppressed") % {"number": grouped(event.done)},
        "unsuppress": lambda event: gettext("%(done)s removed from the list") % {"done": grouped(event.done)},
        "dkim-publish": lambda event: (
            gettext("%(server)s was told to show it as %(as)s")
            % {"server": event.parameters["server"], "as": event.parameters["as"]}
        ),
        "destination-slow": _slowed,
        "destination-suspend": lambda event: (
            gettext("Suspended for %(hours)s hours") % {"hours": grouped(event.parameters["hours"])}
        ),
        "destination-resume": lambda _: gettext("Resumed"),
        "destination-retry": _retried,
        "destination-forget": lambda _: gettext("Its limits were forgotten"),
        "machine-drain": lambda _: gettext("Drained: it takes no more mail"),
        "machine-resume": lambda _: gettext("Resumed: it takes mail again"),
        "machine-forget": lambda _: gettext("Forgotten"),
        "remove view": lambda _: gettext("Removed"),
        "save view": _view,
        "test alert rule": lambda _: gettext("Tested: whom it tells were told"),
        "acknowledge alert": lambda _: gettext("Acknowledged"),
        "mute alert": _muted,
        "unmute alert": lambda _: gettext("Unmuted"),
    }
)
