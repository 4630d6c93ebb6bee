"""Many machines: `python -m bench.machines [scaling|kills] …`. bench/README.md says what is measured."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench import frame
from bench.destinations import figures
from bench.destinations.figures import Figure
from bench.machines import kills, scaling

MODES: dict[str, Callable[[argparse.Namespace, Path, Console], Iterator[Figure]]] = {
    "scaling": scaling.run,
    "kills": kills.run,
}


def main(arguments: Sequence[str]) -> int:
    """1 when a kill lost mail, or a bar was missed."""
    options = _options(arguments)
    if not frame.can_run(on_postgresql=True):
        return 1
    frame.end_with_all()
    console = Console(width=120)
    with frame.place(options.folder) as place:
        found = list(MODES[options.mode](options, place, console))
    figures.show(found, f"Machines: {options.mode}", console)
    frame.write([asdict(figure) for figure in found], options.json)
    return int(any(figure.passes is False for figure in found))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.machines", description="Measure many machines.")
    parser.add_argument("mode", nargs="?", choices=sorted(MODES), default="scaling")
    parser.add_argument("--machines", type=int, help="scaling: beside one (4); kills: at all (3)")
    parser.add_argument("--messages", type=int, help="scaling: for each machine (600); kills: at least (1,000)")
    parser.add_argument("--kills", type=int, default=4, help="of whole machines (4)")
    parser.add_argument("--rounds", type=int, default=1, help="scaling: turns of each (1)")
    parser.add_argument("--connections", type=int, default=10, help="scaling: at once to next hops, a machine (10)")
    parser.add_argument("--late-ms", type=int, default=100, help="how long each answer of the next hop takes (100)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000))
    parser.add_argument("--folder", default=None, help="where homes and database are made (default: $TMPDIR)")
    parser.add_argument("--json", type=Path, default=Path("var/bench/machines.json"), help="file of all figures")
    options = parser.parse_args(arguments)
    machines, messages = (4, 600) if options.mode == "scaling" else (3, 1000)
    options.machines = options.machines or machines
    options.messages = options.messages or messages
    Console().print(f"--seed {options.seed}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
