"""How much of it runs: a little of everything in `make test`, all of it in `make test-system`.

MAILSPOOL_CRASH_SEED decides what a short run picks and in which order parts are killed. A run that was given none picks
the same each time, or two runs of one commit would differ; to look for more is for those that name seeds.
MAILSPOOL_CRASH_MESSAGES is how many messages must have flowed while they were. MAILSPOOL_CRASH_INLINE_KB is up to which
size they have no file at first, where the test does not say: 0 gives each its file, as an administrator may choose.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

from tests.crash.faults import Fault

LONG = bool(os.environ.get("MAILSPOOL_LONG"))
SEED = int(os.environ.get("MAILSPOOL_CRASH_SEED", "0")) or 1
_INLINE_KB = os.environ.get("MAILSPOOL_CRASH_INLINE_KB", "")
PLACE = {"MAILSPOOL_INLINE_KB": _INLINE_KB} if _INLINE_KB else {}
MESSAGES = int(os.environ.get("MAILSPOOL_CRASH_MESSAGES", "2000" if LONG else "150"))


def some(faults: Sequence[Fault], count: int = 2) -> list[Fault]:
    """All of them, or `count` in a short run."""
    chosen = list(faults) if LONG else random.Random(SEED).sample(list(faults), count)
    print(f"MAILSPOOL_CRASH_SEED={SEED}:", *chosen)
    return chosen
