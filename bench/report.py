"""What was measured, as tables for people and JSON for machines."""

from __future__ import annotations

import os
import platform
import pstats
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.accounting import Memory
from bench.runs import Latency
from bench.systems import scanning, uncounted, unlogged

PEER = "postfix"
BySessions = dict[str, dict[int, list[float]]]


@dataclass
class Results:
    """All runs, by system and number of sessions. Rates are messages a second, CPU is milliseconds a message."""

    taken: BySessions = field(default_factory=dict)
    relayed: BySessions = field(default_factory=dict)
    cpu: dict[str, dict[int, list[dict[str, float]]]] = field(default_factory=dict)
    latency: dict[str, Latency] = field(default_factory=dict)
    memory: dict[str, dict[str, Memory]] = field(default_factory=dict)

    def as_json(self, options: Mapping[str, object]) -> dict[str, Any]:
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "python": python()},
            "options": {name: str(value) for name, value in options.items()},
            **asdict(self),
        }


def show(results: Results, console: Console) -> None:
    """Print every table."""
    console.print(f"Python {python()}")
    _show_rates("Taking in, messages/s (nothing is delivered)", results.taken, console)
    _show_rates("Relaying, messages/s (smtp-source to smtp-sink)", results.relayed, console)
    _show_costs(results, console)
    _show_cpu(results, console)
    _show_latency(results.latency, console)
    _show_memory(results.memory, console)


def python() -> str:
    """The interpreter that runs this, and so Mailspool: its version and which one of that version it is."""
    return f"{platform.python_version()} ({Path(sys.executable).resolve()})"


def show_profiles(folder: Path, console: Console, lines: int = 30) -> None:
    """Print where the main threads of profiled processes spent their time."""
    for path in sorted(folder.rglob("*.profile")):
        console.rule(f"{path.parent.name}/{path.stem}")
        pstats.Stats(str(path)).sort_stats("tottime").print_stats(lines)


def _show_rates(title: str, rates: BySessions, console: Console) -> None:
    if not rates:
        return
    table = Table(title=title, title_justify="left")
    for column in ("sessions", "system", "median", "lowest", "highest", "rounds", f"ratio to {PEER}"):
        table.add_column(column, justify="left" if column == "system" else "right")
    for sessions in next(iter(rates.values())):
        for system, runs in rates.items():
            figures = runs[sessions]
            table.add_row(
                str(sessions),
                system,
                f"{statistics.median(figures):.0f}",
                f"{min(figures):.0f}",
                f"{max(figures):.0f}",
                str(len(figures)),
                ratio(figures, rates.get(PEER, {}).get(sessions, [])),
                end_section=system == list(rates)[-1],
            )
    console.print(table)


def ratio(figures: Sequence[float], peers: Sequence[float]) -> str:
    """Median of the ratios of rounds that ran side by side, with the lowest and the highest."""
    ratios = [ours / theirs for ours, theirs in zip(figures, peers, strict=False)]
    if not ratios or figures is peers:
        return ""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def _show_costs(results: Results, console: Console) -> None:
    """What counting, logging and scanning leave of the throughput, where systems ran with and without it."""
    names = list(results.relayed)
    counting = [(name, uncounted(name)) for name in names if uncounted(name) in names]
    _show_pairs("Throughput with counting, by that without it", counting, results, console)
    logging = [(name, unlogged(name)) for name in names if unlogged(name) in names]
    _show_pairs("Throughput with the mail log, by that without it", logging, results, console)
    scanned = [(scanning(name), name) for name in names if scanning(name) in names]
    _show_pairs("Throughput with scanning, by that without it", scanned, results, console)


def _show_pairs(title: str, pairs: Sequence[tuple[str, str]], results: Results, console: Console) -> None:
    if not pairs:
        return
    table = Table(title=title, title_justify="left")
    for column in ("sessions", "system", "taking in", "relaying"):
        table.add_column(column, justify="left" if column == "system" else "right")
    for sessions in results.relayed[pairs[0][0]]:
        for with_it, without in pairs:
            ratios = [
                ratio(rates[with_it][sessions], rates[without][sessions]) if rates else ""
                for rates in (results.taken, results.relayed)
            ]
            table.add_row(str(sessions), with_it, *ratios)
    console.print(table)


def _show_cpu(results: Results, console: Console) -> None:
    table = Table(title="CPU time, ms a message, while relaying (median of rounds)", title_justify="left")
    for column in ("sessions", "system", "total", "by process"):
        table.add_column(column, justify="right" if column in ("sessions", "total") else "left")
    for sessions in sorted({sessions for runs in results.cpu.values() for sessions in runs}):
        for system, runs in results.cpu.items():
            figures = runs[sessions]
            parts = {part: statistics.median(run[part] for run in figures) for part in figures[0]}
            detail = ", ".join(f"{part} {milliseconds:.2f}" for part, milliseconds in parts.items())
            total = statistics.median(sum(run.values()) for run in figures)
            table.add_row(str(sessions), system, f"{total:.2f}", detail)
    console.print(table)


def _show_latency(latency: Mapping[str, Latency], console: Console) -> None:
    if not latency:
        return
    table = Table(title="From 250 to delivered, ms, at a steady rate", title_justify="left")
    for column in ("system", "messages", "p50", "p99", "longest"):
        table.add_column(column, justify="left" if column == "system" else "right")
    for system, run in latency.items():
        table.add_row(system, str(run.messages), f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}", f"{run.longest_ms:.1f}")
    console.print(table)


def _show_memory(memory: Mapping[str, Mapping[str, Memory]], console: Console) -> None:
    table = Table(
        title="Memory after the last run, MB (PSS; RSS counts shared pages in every process)", title_justify="left"
    )
    for column in ("system", "PSS", "RSS", "processes", "by process (PSS)"):
        table.add_column(column, justify="left" if column in ("system", "by process (PSS)") else "right")
    for system, parts in memory.items():
        table.add_row(
            system,
            f"{sum(part.pss_mb for part in parts.values()):.0f}",
            f"{sum(part.rss_mb for part in parts.values()):.0f}",
            str(sum(part.processes for part in parts.values())),
            ", ".join(f"{name} {part.pss_mb:.0f}" for name, part in parts.items()),
        )
    console.print(table)
