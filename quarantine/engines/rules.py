"""Checks of an administrator's own: regular expressions for a header or the text of a message."""

from __future__ import annotations

import asyncio
from email import policy
from email.parser import BytesHeaderParser
from typing import Final

from quarantine.engines.answers import EngineFailed
from quarantine.engines.examined import Examined
from quarantine.engines.texts import text_of
from quarantine.models.check import compile_rule
from spool.console.mime import readable

# An expression that backtracks without end is stopped, and counts as no answer.
SEARCH_SECONDS: Final = 0.5
AT_ONCE_SECONDS: Final = 0.01
MOST_HEADERS: Final = 100


async def header_rule(examined: Examined, name: str, pattern: str) -> str:
    """What the expression matches in one of the headers of this name, or "". Raises EngineFailed."""
    message = BytesHeaderParser(policy=policy.compat32).parsebytes(examined.head)
    for value in (message.get_all(name) or [])[:MOST_HEADERS]:
        if found := await _search(pattern, readable(str(value))):
            return found
    return ""


async def text_rule(examined: Examined, pattern: str) -> str:
    """What it matches in the text parts, or "". Raises EngineFailed."""
    text = await text_of(examined)
    return await _search(pattern, text) if text else ""


async def _search(pattern: str, text: str) -> str:
    expression = compile_rule(pattern)
    try:
        # Nearly all are done with at once; the others must not hold up the loop.
        found = expression.search(text, timeout=AT_ONCE_SECONDS)
    except TimeoutError:
        try:
            found = await asyncio.to_thread(lambda: expression.search(text, timeout=SEARCH_SECONDS, concurrent=True))
        except TimeoutError as error:
            raise EngineFailed(f"the expression needs more than {SEARCH_SECONDS:g} s for this message") from error
    return f"“{found[0][:80]}”" if found else ""
