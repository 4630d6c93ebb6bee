"""What the audit says of actions on messages: how many, in the words of the action; and of what else the spool has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from base.audit import sentences
from base.audit.results import Result
from base.audit.sentences import Event
from spool.actions.verbs import WORKS

# Of actions that are no verbs.
_PAST: Mapping[str, str] = {"export": "exported", "import": "imported", "put-back": "put back"}


def counted(past: str | Callable[[Mapping[str, Any]], str]) -> Callable[[Event], str]:
    """ "11,998 deleted, 2 were being delivered": a sentence of an action on many, `past` being what was done."""

    def sentence(event: Event) -> str:
        given = event.parameters
        busy, problem = given.get("busy", 0), given.get("problem", "")
        skipped = event.skipped - busy
        parts = [f"{event.done:,} {past if isinstance(past, str) else past(given)}"]
        if busy:
            parts.append(f"{busy:,} {'was' if busy == 1 else 'were'} being delivered")
        if skipped > 0:
            parts.append(f"{skipped:,} skipped ({problem or 'already gone'})")
        elif problem:
            parts.append(f"but {problem}")
        return _how(event) + ", ".join(parts)

    return sentence


def _muted(event: Event) -> str:
    until = timezone.localtime(datetime.fromisoformat(event.parameters["until"]))
    return f"Muted until {until:%Y-%m-%d %H:%M}"


def _how(event: Event) -> str:
    if event.result == Result.CANCELLED:
        return f"Cancelled by {event.parameters['cancelled_by']}: "
    return f"Failed ({event.parameters['error']}): " if event.result == Result.FAILED else ""


def _emptied(event: Event) -> str:
    given = event.parameters
    if "freed_mb" not in given:
        return counted(WORKS["empty-trash"].past_of)(event)
    return (
        f"Removed for good, about {given['freed_mb']:,.0f} MB: only {given['free_mb']:,.0f} MB of the disk were free,"
        f" and the settings ask for {given['wanted_mb']:,} MB"
    )


def _mended(event: Event) -> str:
    return "Mended: " + ", ".join(f"{kind} ({number:,})" for kind, number in event.parameters["mended"].items())


def _view(event: Event) -> str:
    return f"{event.parameters['page']}: {event.parameters['query'] or 'everything'}"


def _slowed(event: Event) -> str:
    rate, connections = event.parameters["rate"], event.parameters["connections"]
    parts = [f"{rate:,} messages a minute"] if rate else []
    parts += [f"{connections:,} connections"] if connections else []
    return f"At most {' and '.join(parts)}" if parts else "No limit by hand"


sentences.of_actions({name: counted(work.past_of) for name, work in WORKS.items()})
sentences.of_actions({name: counted(past) for name, past in _PAST.items()})
sentences.of_actions(
    {
        "empty-trash": _emptied,
        "export trace": lambda event: f"As {event.parameters['format'].upper()}",
        "export audit": lambda event: f"As {event.parameters['format'].upper()}",
        "mend": _mended,
        "relocate": lambda event: f"{event.done:,} messages were moved there",
        "suppress": lambda event: f"{event.done:,} suppressed",
        "unsuppress": lambda event: f"{event.done:,} removed from the list",
        "dkim-publish": lambda event: f"{event.parameters['server']} was told to show it as {event.parameters['as']}",
        "destination-slow": _slowed,
        "destination-suspend": lambda event: f"Suspended for {event.parameters['hours']:,} hours",
        "destination-resume": lambda _: "Resumed",
        "destination-retry": lambda event: f"{event.parameters['messages']:,} messages were tried again",
        "destination-forget": lambda _: "Its limits were forgotten",
        "machine-drain": lambda _: "Drained: it takes no more mail",
        "machine-resume": lambda _: "Resumed: it takes mail again",
        "machine-forget": lambda _: "Forgotten",
        "remove view": lambda _: "Removed",
        "save view": _view,
        "test alert rule": lambda _: "Tested: whom it tells were told",
        "acknowledge alert": lambda _: "Acknowledged",
        "mute alert": _muted,
        "unmute alert": lambda _: "Unmuted",
    }
)
