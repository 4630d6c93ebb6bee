"""Many machines: `python -m bench.machines [scaling|kills] …`. bench/README.md says what is measured."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench.destinations import figures
from bench.destinations.figures import Figure
from bench.machines import kills, scaling
from tests.support import postfix, postgres

MODES: dict[str, Callable[[argparse.Namespace, Path, Console], Iterator[Figure]]] = {
    "scaling": scaling.run,
    "kills": kills.run,
}


def main(arguments: Sequence[str]) -> int:
    """1 when a kill lost mail, or a bar was missed."""
    options = _options(arguments)
    if not postfix.can_run() or not postgres.is_installed():
        print("bench: needs root, and Debian's postfix and postgresql", file=sys.stderr)
        return 1
    tempfile.tempdir = options.folder
    # So that whatever runs ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="mailspool-bench-") as place:
        Path(place).chmod(0o755)
        found = list(MODES[options.mode](options, Path(place), console))
    figures.show(found, f"Machines: {options.mode}", console)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(figure) for figure in found], indent=1))
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
