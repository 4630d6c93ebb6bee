"""Whether receivers that are dead, slow, strict or hostile delay the mail of others, and how well strict ones are met.

    python -m bench.destinations [--only flood,provider,site,dead] [--full] …

Small by default, about half an hour; `--full` is what the bars were made for. bench/README.md says what is measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench import frame
from bench.destinations import dead, figures, flood, provider, site
from bench.destinations.figures import Figure

Scenario = Callable[[argparse.Namespace, str, Path, Console], Iterator[Figure]]
SCENARIOS: dict[str, Scenario] = {"flood": flood.run, "provider": provider.run, "site": site.run, "dead": dead.run}
# What each size is, small and full; every one is an option of its own, too.
SIZES = {
    "flood": (300, 2000, "messages of the flood"),
    "others": (300, 1000, "messages of others in each measurement of their rate"),
    "limit": (120, 600, "what the provider takes a minute"),
    "minutes": (3, 5, "that the provider is given to be learned, twice"),
    "shared": (500, 10_000, "domains on one MX set"),
    "domains": (100, 1000, "of which a fifth is dead"),
}


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    if not frame.can_run(on_postgresql=options.database == "postgres"):
        return 1
    console = Console(width=120)
    found: list[Figure] = []
    for name in options.only:
        with frame.place(options.folder) as place:
            found += SCENARIOS[name](options, options.database, place, console)
    figures.show(found, f"Destinations, {options.database}, {options.workers} worker(s)", console)
    frame.write([asdict(figure) for figure in found], options.json)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.destinations", description="Measure mail to many receivers.")
    parser.add_argument("--only", type=_some(list(SCENARIOS)), default=list(SCENARIOS), help="scenarios, with commas")
    parser.add_argument("--variants", type=_some(flood.VARIANTS), default=flood.VARIANTS, help="of the flood")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="the sizes that the bars were made for")
    for name, (small, full, what) in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=None, help=f"{what} ({small}; full: {full})")
    parser.add_argument(
        "--rounds", type=int, default=3, help="measurements of a rate, twice in each flood and twice without"
    )
    parser.add_argument("--seconds", type=float, default=8, help="between those two")
    parser.add_argument("--patience", type=float, default=300, help="seconds for all mail to dead and live hosts")
    parser.add_argument("--no-postfix", action="store_true")
    parser.add_argument("--folder", default=None, help="where spools and databases are made (default: $TMPDIR)")
    parser.add_argument("--json", type=Path, default=Path("var/bench/destinations.json"), help="file of all figures")
    options = parser.parse_args(arguments)
    for name, (small, full, _) in SIZES.items():
        if getattr(options, name) is None:
            setattr(options, name, full if options.full else small)
    return options


def _some(names: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := set(wanted) - set(names):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(names)}")
        return wanted

    return parse


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
