"""The table of all parts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.loads.race import Series, Turn
from bench.report import PEER, ratio


def show(found: Sequence[Series], console: Console) -> None:
    """A row for each kind of mail and system; ratios are of turns in the same round."""
    table = Table(title="Rates a second, and CPU for each", title_justify="left")
    for column in ("mail", "system", "median", "lowest", "highest", f"ratio to {PEER}", "ms CPU", "by process"):
        table.add_column(column, justify="left" if column in ("mail", "system", "by process") else "right")
    for series in found:
        for name, turns in series.turns.items():
            rates = [turn.per_second for turn in turns]
            table.add_row(
                f"{series.mail}, {series.unit}",
                name,
                *(f"{_of(rates):.1f}" for _of in (statistics.median, min, max)),
                ratio(rates, [turn.per_second for turn in series.turns[PEER]]) if name != PEER else "",
                f"{statistics.median(sum(turn.cpu_ms.values()) for turn in turns):.2f}",
                _by_process(turns),
                end_section=name == list(series.turns)[-1],
            )
    console.print(table)


def _by_process(turns: Sequence[Turn]) -> str:
    """Of the processes that used some."""
    medians = {name: statistics.median(turn.cpu_ms[name] for turn in turns) for name in turns[0].cpu_ms}
    return ", ".join(f"{name} {milliseconds:.2f}" for name, milliseconds in medians.items() if milliseconds >= 0.01)
