"""The page of machines, which brings itself up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from base.numbers import grouped
from base.texts import Text
from spool.console.pages import is_htmx, page
from spool.monitoring import machines
from spool.monitoring.machines import MachineState, MachineView
from spool.monitoring.names import machine
from spool.monitoring.programs import NEEDED

# What a state is called, and its tone.
_STATES: Final[Mapping[MachineState, tuple[Text, str]]] = {
    MachineState.RUNNING: (_lazy("Running"), "good"),
    MachineState.DRAINING: (_lazy("Draining"), "waiting"),
    MachineState.DRAINED: (_lazy("Drained"), "active"),
    MachineState.STOPPED: (_lazy("Stopped"), "quiet"),
    MachineState.MISSED: (_lazy("Missed"), "bad"),
}
_KINDS: Final[Mapping[str, Text]] = {
    "listeners": _lazy("listener"),
    "workers": _lazy("mail worker"),
    "maintenance": _lazy("maintenance worker"),
    "scheduler": _lazy("scheduler"),
    "console": _lazy("web process"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A machine as a row of the page."""

    machine: MachineView
    words: str
    tone: str
    is_here: bool
    programs: str
    missing: str
    menu: str


@require_GET
def page_of_machines(request: HttpRequest) -> HttpResponse:
    """All machines; what refreshes itself asks for its part."""
    lines = [_line(one) for one in machines.every()]
    context = {"lines": lines, "here": reverse("machines"), "most": machines.MOST}
    if is_htmx(request) and request.headers.get("HX-Target") == "live":
        return render(request, "mailspool/machines/_live.html", context)
    return page(request, "mailspool/machines/machines.html", _("Machines"), context)


def _line(one: MachineView) -> Line:
    words, tone = _STATES[one.state]
    dead = [kind for kind in one.missing if one.is_alive]
    return Line(
        one,
        str(words),
        tone,
        one.name == machine(),
        ", ".join(_number(kind, number) for kind, number in one.programs.items()),
        ", ".join(str(_KINDS[kind]) for kind in NEEDED if kind in dead),
        f"{reverse('thing_menu', args=['machine'])}?{urlencode({'key': one.name})}",
    )


def _number(kind: str, number: int) -> str:
    if kind == "listeners":
        said = ngettext("%(number)s listener", "%(number)s listeners", number)
    elif kind == "workers":
        said = ngettext("%(number)s mail worker", "%(number)s mail workers", number)
    elif kind == "maintenance":
        said = ngettext("%(number)s maintenance worker", "%(number)s maintenance workers", number)
    elif kind == "scheduler":
        said = ngettext("%(number)s scheduler", "%(number)s schedulers", number)
    else:
        said = ngettext("%(number)s web process", "%(number)s web processes", number)
    return said % {"number": grouped(number)}
