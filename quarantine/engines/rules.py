"""Checks of an administrator's own: regular expressions for a header or the text of a message."""

from __future__ import annotations

import asyncio
from email import policy
from email.parser import BytesHeaderParser
from typing import Final

from quarantine.engines.answers import EngineFailed
from quarantine.engines.examined import Examined
from quarantine.engines.texts import text_of_message
from quarantine.models.check import compile_rule
from spool.console.mime import readable

# An expression that backtracks without end is stopped, and counts as no answer.
SEARCH_SECONDS: Final = 0.5


async def header_rule(examined: Examined, name: str, pattern: str) -> str:
    """What the expression matches in one of the headers of this name, or "". Raises EngineFailed."""
    return await asyncio.to_thread(_search_header, examined, name, pattern)


async def text_rule(examined: Examined, pattern: str) -> str:
    """What it matches in the text parts, or "". Raises EngineFailed."""
    text = await examined.once("text", lambda: asyncio.to_thread(text_of_message, examined))
    return await asyncio.to_thread(_search, pattern, text)


def _search_header(examined: Examined, name: str, pattern: str) -> str:
    message = BytesHeaderParser(policy=policy.compat32).parsebytes(examined.head)
    for value in (message.get_all(name) or [])[:100]:
        if found := _search(pattern, readable(str(value))):
            return found
    return ""


def _search(pattern: str, text: str) -> str:
    try:
        found = compile_rule(pattern).search(text, timeout=SEARCH_SECONDS)
    except TimeoutError as error:
        raise EngineFailed(f"the expression needs more than {SEARCH_SECONDS:g} s for this message") from error
    return f"“{found[0][:80]}”" if found else ""
