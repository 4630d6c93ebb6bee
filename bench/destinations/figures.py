"""What a scenario has found: figures, some with the bar that they have to pass."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """`bar` is as it is printed: `≥ 90 %`; `passes` is None where there is none. `load` is the machine's then."""

    scenario: str
    name: str
    value: str
    bar: str = ""
    passes: bool | None = None
    load: float = field(default_factory=lambda: os.getloadavg()[0])


def figure(scenario: str, name: str, value: float, unit: str = "", digits: int = 0) -> Figure:
    """One without a bar."""
    return Figure(scenario, name, _said(value, unit, digits))


def at_most(scenario: str, name: str, value: float, bar: float, unit: str = "", digits: int = 0) -> Figure:
    return Figure(scenario, name, _said(value, unit, digits), f"≤ {_said(bar, unit, digits)}", value <= bar)


def at_least(scenario: str, name: str, value: float, bar: float, unit: str = "", digits: int = 0) -> Figure:
    return Figure(scenario, name, _said(value, unit, digits), f"≥ {_said(bar, unit, digits)}", value >= bar)


def show(figures: Sequence[Figure], title: str, console: Console) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("scenario", "figure", "value", "bar", "", "load"):
        table.add_column(column, justify="right" if column in ("value", "bar", "load") else "left")
    before = ""
    for found in figures:
        passes = "" if found.passes is None else "passes" if found.passes else "[bold red]falls short"
        name = found.scenario if found.scenario != before else ""
        before = found.scenario
        table.add_row(name, found.name, found.value, found.bar, passes, f"{found.load:.1f}")
    console.print(table)


def _said(value: float, unit: str, digits: int) -> str:
    return f"{value:,.{digits}f}{' ' if unit else ''}{unit}"
